"""`switch`: the first value whose condition holds, as one nested choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Choice, Const, Expr
from flowbuilder.compiler.lower.fields import CONDITION, EXPRESSION, Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping, Node, Sequence

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.compiler.nodes import Scalar
    from flowbuilder.core.catalogue import TaskSpec

MOST_CASES: Final = 100
"""Each case nests one deeper in the generated code, which Python bounds."""

_CASE: Final = Table(
    "a case",
    {"when": Key(CONDITION, "The condition."), "value": Key(EXPRESSION, "The value where it holds.")},
    elsewhere={"if": "it is called `when`", "then": "it is called `value`"},
    required=("when", "value"),
)


def _read_cases(ctx: Context, node: Node, key: str) -> list[dict[str, Any]] | None:
    if type(node) is not Sequence:
        ctx.expected("a list of `{when: …, value: …}`", node, key)
        return None
    if not 1 <= len(node.items) <= MOST_CASES:
        ctx.error(
            "FB210",
            f"'{key}' has {len(node.items)} cases, and may have 1 to {MOST_CASES}",
            node,
            "look the value up in a mapping instead: `${{ {'a': 1}[inputs.key] }}`",
        )
        return None
    return [read_record(ctx, item, _CASE, f"case {number}") for number, item in enumerate(node.items, 1)]


_SWITCH: Final = Table(
    "a switch",
    {
        "cases": Key(Field(_read_cases, {}), "The cases, looked at in order."),
        "default": Key(EXPRESSION, "The value where no case holds; null unless given."),
    },
    elsewhere={"else": "it is called `default`"},
    required=("cases",),
)


def lower(
    ctx: Context,
    key: Scalar,
    spec: TaskSpec,
    values: dict[str, Any],
    mentions: Mentions,
) -> ir.Work:
    """Return the cases as one expression."""
    nothing = Const(ctx.at(key), None)
    if "with" not in values:
        ctx.error(
            "FB202",
            f"task '{key.text}' lacks the key 'with'",
            key,
            "write `with: {cases: [{when: …, value: …}]}`",
        )
        return ir.Compute(nothing)
    switch = read_record(ctx, values["with"], _SWITCH, "the `with` of a switch")
    tree: Expr = switch.get("default", nothing)
    node = values["with"]
    at = ctx.at(node.get("cases") or node) if type(node) is Mapping else ctx.at(key)
    for case in reversed(switch.get("cases", [])):
        if "when" in case and "value" in case:
            tree = Choice(at, case["when"], case["value"], tree)
    mentions.of(tree)
    return ir.Compute(tree)
