"""`flow`: a run of another flow, found by the path of its file or by its name."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const, Dict, Expr
from flowbuilder.compiler.lower.fields import BOOLEAN, EXPRESSION, TEXT, Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.values import lower_value
from flowbuilder.compiler.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.core.catalogue import TaskSpec


def _read_inputs(ctx: Context, node: Node, key: str) -> Expr | None:
    value = lower_value(ctx, node)
    if type(value) is Const and type(value.value) is not dict:
        ctx.expected("a mapping of inputs", node, key)
        return None
    return value


_FLOW: Final = Table(
    "a task of type 'flow'",
    {
        "path": Key(TEXT, "The flow's file, from this file's folder on."),
        "name": Key(EXPRESSION, "The flow's name."),
        "inputs": Key(Field(_read_inputs, {}), "Its inputs."),
        "wait": Key(BOOLEAN, "Whether to wait for its end; true unless given."),
        "key": Key(EXPRESSION, "Makes starting it twice start it once."),
    },
    elsewhere={
        "file": "it is called `path`",
        "flow": "it is called `path` or `name`",
        "args": "they are called `inputs`",
    },
)


def lower(
    ctx: Context,
    key: Scalar,
    spec: TaskSpec,
    values: dict[str, Any],
    mentions: Mentions,
) -> ir.Work:
    """Return the run of a flow; one with a constant path is compiled with this one."""
    node = values.get("with")
    nothing = Const(ctx.at(key), {})
    if node is None:
        ctx.error("FB202", f"task '{key.text}' lacks the key 'with'", key, "write `with: {path: other.yaml}`")
        return ir.SubFlow(None, None, nothing, True, None)
    values = read_record(ctx, node, _FLOW, "the `with` of a flow")
    flow: ir.Flow | None = None
    inputs = values.get("inputs", nothing)
    if type(node) is Mapping:
        if ("path" in node.pairs) == ("name" in node.pairs):
            which = "both 'path' and 'name'" if "path" in node.pairs else "neither 'path' nor 'name'"
            ctx.error("FB211", f"a task of type 'flow' has {which}", node, "say which flow is to run")
        if "path" in values:
            flow = ctx.sub_flows.find(values["path"], ctx, node.pairs["path"][1])
        if flow is not None:
            check_sub_inputs(ctx, flow, inputs, node)
    for tree in (values.get("name"), inputs, values.get("key")):
        mentions.of(tree)
    fixed = flow is not None and PurePath(values["path"]).is_absolute()
    return ir.SubFlow(flow, values.get("name"), inputs, values.get("wait", True), values.get("key"), fixed)


def check_sub_inputs(ctx: Context, flow: ir.Flow, inputs: Expr, node: Mapping) -> None:
    """Report inputs that the flow does not have, and those that it needs and does not get."""
    if type(inputs) is Const:
        given = list(inputs.value)  # type: ignore[call-overload]
    elif type(inputs) is Dict:
        given = [key.value for key, _ in inputs.items]  # type: ignore[union-attr]
    else:
        return
    known = {entry.name: entry for entry in flow.inputs}
    where = node.get("inputs")
    for name in given:
        if name not in known:
            at = where.pairs[name][0] if type(where) is Mapping and name in where.pairs else node
            hint = ctx.near(name, known) or ("it has " + ", ".join(known) if known else "it has none")
            ctx.error("FB252", f"the flow '{flow.name}' has no input '{name[:60]}'", at, hint)
    for name, entry in known.items():
        if entry.required and name not in given:
            ctx.error(
                "FB252",
                f"the flow '{flow.name}' needs the input '{name}'",
                where or node,
                f"it is declared at {entry.at}",
            )
