"""The flow itself: its keys, and the order in which they are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower import lanes
from flowbuilder.compiler.lower.connections import read_connections
from flowbuilder.compiler.lower.deadline import read_deadline
from flowbuilder.compiler.lower.defaults import read_defaults
from flowbuilder.compiler.lower.fields import (
    BOOLEAN,
    DURATION,
    TEXT,
    TEXTS,
    Field,
    check_name,
    choice,
    integer,
    read_scalars,
)
from flowbuilder.compiler.lower.graph import EMPTY, lower_graph
from flowbuilder.compiler.lower.inputs import read_config, read_inputs
from flowbuilder.compiler.lower.outputs import lower_outputs
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.triggers import read_timezone, read_triggers
from flowbuilder.compiler.lower.values import lower_value
from flowbuilder.compiler.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.lower.context import Context

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")


def _read_name(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is None or _NAME.fullmatch(text):
        return text  # type: ignore[no-any-return]
    better = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64]
    ctx.error(
        "FB204",
        f"'{text[:80]}' is no name for a flow: up to 64 of a-z, 0-9, '-' and '_', the first a letter or digit",
        node,
        f"write '{better}'" if better else "",
    )
    return None


def _read_namespace(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is not None and not _NAMESPACE.fullmatch(text):
        ctx.error("FB204", f"'{text[:80]}' is no namespace: up to 128 of a-z, 0-9, '.', '-' and '_'", node)
        return None
    return text  # type: ignore[no-any-return]


def _read_vars(ctx: Context, node: Node, key: str) -> tuple[ir.Var, ...]:
    if type(node) is not Mapping:
        ctx.expected("a mapping of names and values", node, key)
        return ()
    found = []
    for name, value in node.pairs.values():
        check_name(ctx, name, "variable")
        found.append(ir.Var(name.text, ctx.span(name), lower_value(ctx, value)))
    return tuple(found)


def _read_secrets(ctx: Context, node: Node, key: str) -> tuple[Scalar, ...]:
    if type(node) is Mapping:
        ctx.expected(
            "a list of names",
            node,
            key,
            "values come from the environment or a file: write `secrets: [NAME]`",
        )
        return ()
    names: dict[str, Scalar] = {}
    for scalar in read_scalars(ctx, node, key):
        if check_name(ctx, scalar, "secret"):
            names.setdefault(scalar.text, scalar)
    return tuple(names.values())


def _as_node(ctx: Context, node: Node, key: str) -> Node:
    """Return the node itself: it is lowered once `defaults` are known, wherever they stand."""
    return node


_TASKS: Final = Field(_as_node, {"$ref": "#/$defs/tasks"})

_AT_ONCE: Final = (
    "how many runs there may be at once is `concurrency`; for elements of `for_each` it stands in their task"
)
FLOW: Final = Table(
    "a flow",
    {
        "flow": Key(
            Field(_read_name, {"type": "string", "pattern": f"^{_NAME.pattern}$"}), "The flow's name."
        ),
        "version": Key(TEXT, "A version for people."),
        "description": Key(TEXT, "What it is for."),
        "namespace": Key(Field(_read_namespace, {"type": "string"}), "Whom it belongs to."),
        "labels": Key(TEXTS, "Words to find it by."),
        "timezone": Key(
            Field(read_timezone, {"type": "string"}), "The zone of `today()` and of texts without one."
        ),
        "inputs": Key(
            Field(read_inputs, {"type": "object", "additionalProperties": {"type": "object"}}),
            "What a run is started with: by name a JSON Schema, and a `default` where it may be left out.",
        ),
        "config": Key(
            Field(read_config, {"type": "object", "additionalProperties": {"type": "object"}}),
            "What the project's profile gives: by name a JSON Schema, and a `default` where it may be left out.",
        ),
        "connections": Key(
            Field(
                read_connections,
                {"type": ["array", "object"], "items": {"type": "string"}},
            ),
            "Names of connections that the project's profile describes: a list, or a mapping to their types.",
        ),
        "vars": Key(
            Field(_read_vars, {"type": "object"}), "Named expressions, evaluated once a run on first use."
        ),
        "env": Key(TEXTS, "Environment of all commands."),
        "secrets": Key(
            Field(_read_secrets, {"type": "array", "items": {"type": "string"}}), "Names of secret values."
        ),
        "defaults": Key(Field(_as_node, {"$ref": "#/$defs/defaults"}), "What tasks do not say themselves."),
        "timeout": Key(DURATION, "How long a run may take."),
        "deadline": Key(
            Field(read_deadline, {"type": "string"}),
            "By when a run has ended: a moment, or a duration from when it was asked for.",
        ),
        "fail_fast": Key(BOOLEAN, "Whether the first failure cancels all that is running."),
        "priority": Key(integer(0, 100), "More goes first; 50 unless given."),
        "concurrency": Key(lanes.CONCURRENCY_FIELD, "How many runs there may be at once."),
        "debounce": Key(lanes.DEBOUNCE_FIELD, "How long a start waits for another that takes its place."),
        "durability": Key(choice("group", "none"), "Whether a run waits for the disk."),
        "on_crash": Key(choice("rerun", "fail"), "What becomes of a task that was running at a crash."),
        "triggers": Key(
            Field(_as_node, {"type": "array", "items": {"$ref": "#/$defs/trigger"}}),
            "What starts runs by itself: times, files, events, other flows.",
        ),
        "tasks": Key(_TASKS, "The tasks, by id."),
        "on_failure": Key(_TASKS, "Tasks that run when the run has failed."),
        "finally": Key(_TASKS, "Tasks that run at the end, whatever happened."),
        "outputs": Key(Field(_as_node, {"type": "object"}), "What a run gives, by name."),
    },
    elsewhere={
        "name": "it is called `flow`",
        "id": "it is called `flow`",
        "steps": "they are called `tasks`, a mapping by id",
        "jobs": "they are called `tasks`",
        "on": "it is called `triggers`",
        "schedule": "it stands in `triggers`",
        "variables": "they are called `vars`",
        "parameters": "they are called `inputs`",
        "params": "they are called `inputs`",
        "retry": "for all tasks it stands in `defaults`",
        "run": "it stands in a task",
        "max_parallel": _AT_ONCE,
        "max-parallel": _AT_ONCE,
        "max_active_runs": "it is called `concurrency`",
        "on_error": "for the whole flow it is called `on_failure`",
    },
    required=("flow", "tasks"),
    open_prefix="x-",
)


def lower_flow(ctx: Context, root: Node, content_hash: str) -> tuple[ir.Flow, tuple[Scalar, ...]]:
    """Return the flow that a file's node means, and its secrets with their places.

    What is wrong is in the context's findings; the flow is then as much of it as could be read.
    """
    values = read_record(ctx, root, FLOW, "a flow")
    ctx.on_crash = values.get("on_crash", "rerun")
    ctx.timezone = values.get("timezone", "UTC")
    if "defaults" in values:
        ctx.defaults = read_defaults(ctx, values["defaults"])
    graphs: dict[str, ir.Graph] = {}
    for key in ("tasks", "on_failure", "finally"):
        if key in values:
            graphs[key] = lower_graph(ctx, values[key], key)[0]
    outputs: Expr | None = lower_outputs(ctx, values["outputs"]) if "outputs" in values else None
    triggers = read_triggers(ctx, values["triggers"], "triggers") if "triggers" in values else None
    secrets = values.get("secrets", ())
    name_node = root.get("flow") if type(root) is Mapping else None
    plain: dict[str, Any] = {key: values[key] for key in _PLAIN if key in values}
    flow = ir.Flow(
        name=values.get("flow", "unnamed"),
        at=ctx.span(name_node or root),
        content_hash=content_hash,
        main=graphs.get("tasks", EMPTY),
        secrets=tuple([scalar.text for scalar in secrets]),
        on_failure=graphs.get("on_failure"),
        finally_=graphs.get("finally"),
        outputs=outputs,
        triggers=triggers or (),
        **plain,
    )
    return flow, secrets


_PLAIN: Final = (
    *(
        "inputs",
        "config",
        "connections",
        "vars",
        "env",
        "version",
        "description",
        "namespace",
        "labels",
        "timezone",
    ),
    *("timeout", "deadline", "fail_fast", "priority", "durability", "on_crash"),
    *("concurrency", "debounce"),
)
"""Keys whose value is the field's."""
