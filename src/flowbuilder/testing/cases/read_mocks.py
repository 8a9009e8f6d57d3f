"""Reads what stands for tasks in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower.fields import DELAY, TEXT, Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence
from flowbuilder.testing.cases.case import Answer, Mock
from flowbuilder.testing.cases.read_values import ANY

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

_ERROR: Final = Table(
    "an error",
    {
        "kind": Key(TEXT, "Dotted, such as `http.503`."),
        "message": Key(TEXT, "What went wrong."),
        "data": Key(ANY, "Whatever the task says of it."),
    },
    required=("kind",),
)


def _read_error(ctx: Context, node: Node, key: str) -> dict[str, Any] | None:
    if type(node) is Scalar:
        kind = TEXT.read(ctx, node, key)
        return None if kind is None else {"kind": kind}
    return read_record(ctx, node, _ERROR, f"'{key}'")


_ANSWER: Final = Table(
    "a mock",
    {
        "output": Key(ANY, "What the task yields."),
        "error": Key(
            Field(_read_error, {"type": "object"}), "What it fails with: `kind`, `message`, `data`."
        ),
        "delay": Key(DELAY, "How much virtual time it takes."),
        "call": Key(TEXT, "`module:function`, which is given `with` and returns the output."),
    },
    elsewhere={
        "return": "it is called `output`",
        "returns": "it is called `output`",
        "result": "it is called `output`",
        "raises": "it is called `error`",
        "outputs": "it is called `output`; for one call after the other write a list of mocks",
        "times": "write a list of mocks, one for each call",
    },
)


def _answer(ctx: Context, node: Node, name: str) -> Answer:
    values = read_record(ctx, node, _ANSWER, f"the mock of '{name[:60]}'")
    given = [key for key in ("output", "error", "call") if key in values]
    if len(given) > 1:
        ctx.error("FB211", f"the mock of '{name[:60]}' has both '{given[0]}' and '{given[1]}'", node)
    return Answer(**values)


def _read_mocks(ctx: Context, node: Node, key: str) -> dict[str, Mock]:
    if type(node) is not Mapping:
        ctx.expected("a mapping of tasks, or of `type:…`, and what stands for them", node, key)
        return {}
    mocks = {}
    for name, value in node.pairs.values():
        items = value.items if type(value) is Sequence else [value]
        if not items:
            ctx.error("FB210", f"the mock of '{name.text[:60]}' has no answer", value)
        mocks[name.text] = Mock(tuple(_answer(ctx, item, name.text) for item in items), ctx.span(name))
    return mocks


MOCKS: Final = Field(_read_mocks, {"type": "object"})
