"""`approval`: somebody decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const, Expr, List
from flowbuilder.compiler.inputs import make_validator
from flowbuilder.compiler.lower.fields import EXPRESSION, Field, choice
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.values import constant, lower_value
from flowbuilder.compiler.lower.works.lower_wait import FOR, integer_or_expression, record_of
from flowbuilder.compiler.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.core.catalogue import TaskSpec


def _read_people(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return names of people: a list, one alone, or an expression."""
    value = lower_value(ctx, node)
    if type(value) is not Const:
        return value
    people = [value.value] if type(value.value) is str else value.value
    if type(people) is not list or not people or not all(type(one) is str and one for one in people):
        ctx.expected("a list of names", node, key, "write for example `[ada, grace]`")
        return None
    return Const(value.at, people)


def _read_form(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return the JSON Schema of an object."""
    if type(node) is not Mapping:
        ctx.expected("a JSON Schema", node, key, "write `form: {properties: {amount: {type: number}}}`")
        return None
    schema = constant(ctx, node, key)
    if type(schema) is not dict:
        return None
    if schema.get("type", "object") != "object":
        ctx.error(
            "FB272", "a form is a JSON Schema of an object", node, "write `type: object` and `properties`"
        )
        return None
    schema.setdefault("type", "object")
    if "properties" in schema and not _OPEN & schema.keys():
        schema["additionalProperties"] = False  # a misspelt field is told, and not quietly kept
    try:
        make_validator(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        ctx.error("FB272", f"this is no JSON Schema: {str(error).splitlines()[0][:200]}", node)
        return None
    return Const(ctx.at(node), schema)


def _read_escalation(ctx: Context, node: Node, key: str) -> dict[str, Any]:
    return read_record(ctx, node, _ESCALATION, f"'{key}'")


_OPEN: Final = frozenset(
    [
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "if",
        "$ref",
    ]
)
"""What says itself which further fields there may be."""
_PEOPLE: Final = Field(_read_people, {})
_ON_TIMEOUT: Final = choice("fail", "approve", "reject")
_ESCALATION: Final = Table(
    "an escalation",
    {
        "after": Key(FOR, "After how long."),
        "assignees": Key(_PEOPLE, "Who may decide then, too."),
    },
    elsewhere={"to": "they are called `assignees`"},
    required=("after", "assignees"),
)
_APPROVAL: Final = Table(
    "an approval",
    {
        "message": Key(EXPRESSION, "What is to be decided."),
        "form": Key(Field(_read_form, {}), "JSON Schema of what is filled in."),
        "assignees": Key(_PEOPLE, "Who may decide; anybody unless given."),
        "quorum": Key(integer_or_expression(1, 1000), "How many must approve; 1 unless given."),
        "timeout": Key(FOR, "How long."),
        "on_timeout": Key(_ON_TIMEOUT, "What happens then; `fail` unless given."),
        "reminder": Key(FOR, "How often to remind."),
        "escalation": Key(Field(_read_escalation, {}), "Who else may decide after a while."),
    },
    elsewhere={
        "title": "it is called `message`",
        "approvers": "they are called `assignees`",
        "reviewers": "they are called `assignees`",
        "users": "they are called `assignees`",
        "schema": "it is called `form`",
        "inputs": "write a JSON Schema under `form`",
        "remind": "it is called `reminder`",
        "escalate": "it is called `escalation`",
    },
    required=("message",),
)
_PARAMS: Final = (
    *("message", "form", "assignees", "quorum", "timeout", "on_timeout", "reminder"),
    *("escalate_after", "escalate_to"),
)


def lower(ctx: Context, key: Scalar, spec: TaskSpec, values: dict[str, Any], mentions: Mentions) -> ir.Work:
    """Return the wait for a decision."""
    node = values.get("with")
    if node is None:
        ctx.error(
            "FB202", f"task '{key.text}' lacks the key 'with'", key, "write `with: {message: May it go on?}`"
        )
        return ir.Approval(Const(ctx.at(key), {}))
    found = read_record(ctx, node, _APPROVAL, "the `with` of an approval")
    pairs = node.pairs if type(node) is Mapping else {}
    if "on_timeout" in found:
        if "timeout" not in pairs:
            ctx.error(
                "FB211", "'on_timeout' makes no sense without 'timeout'", pairs["on_timeout"][0], "add one"
            )
        found["on_timeout"] = Const(ctx.at(pairs["on_timeout"][1]), found["on_timeout"])
    escalation = found.pop("escalation", {})
    found["escalate_after"] = escalation.get("after")
    found["escalate_to"] = escalation.get("assignees")
    _check_quorum(ctx, found, pairs)
    params = record_of(ctx, key, found, _PARAMS)
    mentions.of(params)
    return ir.Approval(params)


def _check_quorum(ctx: Context, found: dict[str, Any], pairs: dict[str, tuple[Scalar, Node]]) -> None:
    """Report a quorum of more people than may ever decide."""
    quorum, assignees, more = found.get("quorum"), found.get("assignees"), found.get("escalate_to")
    if type(quorum) is not Const or type(assignees) is not Const:
        return
    if more is not None and type(more) not in (Const, List):
        return
    people = set(assignees.value)  # type: ignore[call-overload]
    if more is not None and type(more) is Const:
        people |= set(more.value)  # type: ignore[call-overload]
    elif more is not None:
        return
    if quorum.value > len(people):  # type: ignore[operator]
        ctx.error(
            "FB273",
            f"the quorum is {quorum.value}, and there are {len(people)} who may decide",
            pairs["quorum"][1],
            "name more assignees, or ask for fewer",
        )
