"""Reads what a test sends to its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.lower.fields import DELAY, TEXT, Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence
from flowbuilder.testing.cases.case import Sending
from flowbuilder.testing.cases.read_values import ANY, VALUES

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

_SENDINGS: Final = ("signal", "event", "approve", "reject", "cancel", "pause", "resume")


def _read_now(ctx: Context, node: Node, key: str) -> bool | None:
    if type(node) is Scalar and not node.style and node.text == "true":
        return True
    ctx.expected("`true`", node, key, f"write `{key}: true`, or leave it out")
    return None


def _read_cancel(ctx: Context, node: Node, key: str) -> str | bool | None:
    if type(node) is Scalar and not node.style and node.text == "true":
        return True
    reason: str | None = TEXT.read(ctx, node, key)
    return reason


_NOW: Final = Field(_read_now, {"const": True})
_CANCEL: Final = Field(_read_cancel, {"anyOf": [{"type": "string"}, {"const": True}]})
_SENDING: Final = Table(
    "something sent",
    {
        "signal": Key(TEXT, "The name of a signal for the run."),
        "event": Key(TEXT, "The name of an event."),
        "approve": Key(TEXT, "The task whose approval is given."),
        "reject": Key(TEXT, "The task whose approval is refused."),
        "cancel": Key(_CANCEL, "Cancels the run: `true`, or the reason."),
        "pause": Key(_NOW, "Pauses the run: `true`."),
        "resume": Key(_NOW, "Lets a paused run go on: `true`."),
        "payload": Key(ANY, "Of a signal or an event."),
        "form": Key(VALUES, "Of an approval: what was filled in."),
        "reason": Key(TEXT, "Of a rejection."),
        "by": Key(TEXT, "Who decides."),
        "at": Key(DELAY, "So long after the start; when the run only waits unless given."),
    },
    elsewhere={"after": "it is called `at`", "data": "it is called `payload`"},
)


def _sending(ctx: Context, node: Node) -> Sending | None:
    values = read_record(ctx, node, _SENDING, "what is sent")
    what = [name for name in _SENDINGS if name in values]
    if len(what) != 1:
        if type(node) is Mapping and sum(name in node.pairs for name in _SENDINGS) != 1:
            ctx.error("FB211", "say one thing that is sent: " + ", ".join(_SENDINGS), node)
        return None
    name = values[what[0]] if isinstance(values[what[0]], str) else ""
    payload = values.get("payload", values.get("form", values.get("reason")))
    return Sending(what[0], name, payload, values.get("by"), values.get("at"), ctx.span(node))


def _read_sendings(ctx: Context, node: Node, key: str) -> tuple[Sending, ...]:
    items = node.items if type(node) is Sequence else [node]
    return tuple(sending for item in items if (sending := _sending(ctx, item)) is not None)


SENDINGS: Final = Field(_read_sendings, {})
