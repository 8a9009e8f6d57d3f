"""`on_error`: fail, carry on, or do something else instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.draft import Mentions
from flowbuilder.compiler.lower.fields import EXPRESSION, KINDS, Field, choice
from flowbuilder.compiler.lower.graph import lower_graph
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node


def _read_tasks(ctx: Context, node: Node, key: str) -> tuple[ir.Graph, Mentions]:
    return lower_graph(ctx, node, key)


_WORD: Final = choice("fail", "continue")

ON_ERROR: Final = Table(
    "`on_error`",
    {
        "value": Key(EXPRESSION, "The output instead."),
        "tasks": Key(Field(_read_tasks, {"$ref": "#/$defs/tasks"}), "What runs instead; it sees `error`."),
        "on": Key(KINDS, "Kinds of error that it takes; all unless given."),
    },
    elsewhere={"continue": "write `on_error: continue`", "steps": "they are called `tasks`, a mapping by id"},
)


def read_on_error(ctx: Context, node: Node, key: str) -> tuple[ir.OnError | None, Mentions] | None:
    """Return what is done about an error (None: nothing), and what it mentions of other tasks."""
    if type(node) is not MappingNode:
        word = _WORD.read(ctx, node, key)
        if word is None:
            return None
        return (ir.OnError() if word == "continue" else None), Mentions()
    values = read_record(ctx, node, ON_ERROR, f"'{key}'")
    if ("value" in node.pairs) == ("tasks" in node.pairs):
        both = "both 'value' and 'tasks'" if "value" in node.pairs else "neither 'value' nor 'tasks'"
        ctx.error(
            "FB211", f"'{key}' has {both}", node, "say what the task's output is to be, or what runs instead"
        )
        return None
    graph, outside = values.get("tasks", (None, Mentions()))
    return ir.OnError(values.get("on", ()), values.get("value"), graph), outside


def on_error_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `on_error`, from that of its mapping."""
    return {"anyOf": [_WORD.schema, record]}


FIELD: Final = Field(read_on_error, {"$ref": "#/$defs/on_error"})
