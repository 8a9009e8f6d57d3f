"""`wait`, `emit` and `approval` as data."""

from __future__ import annotations

from typing import Any, Final

from flowbuilder.core.catalogue import TaskSpec

_TEXT: Final = {"type": "string"}
_DURATION: Final = {"type": ["string", "number"], "format": "duration"}
_NAME: Final = {"type": "string", "pattern": r"^[\w-]+(\.[\w-]+)*$", "maxLength": 200}
_PEOPLE: Final = {"type": ["array", "string"], "items": _TEXT}


def _described(schema: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {**schema, "description": text, **more}


WAIT: Final = TaskSpec(
    name="wait",
    summary="Waits for a signal to this run, or for an event.",
    params={
        "type": "object",
        "properties": {
            "signal": _described(_NAME, "The name of a signal: dotted words."),
            "event": _described(_NAME, "The name of an event: dotted words."),
            "filter": {
                "type": "boolean",
                "description": "Which of them are meant, a condition over `event`; `${{ }}` may be left out.",
            },
            "count": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "default": 1,
                "description": "How many are waited for.",
            },
            "timeout": _described(_DURATION, "How long; then the task fails with the kind `wait.timeout`."),
            "window": _described(
                _DURATION, "How old an event may be that came before; `events.window` unless given."
            ),
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["signal"]}, {"required": ["event"]}],
    },
    output={"description": "The payload; with `count` over 1 the list of them."},
    effect="read",
    roles={"filter": ("condition",)},
    calls=False,
    icon="bell",
)

EMIT: Final = TaskSpec(
    name="emit",
    summary="Emits an event, which starts flows and wakes runs that wait for it.",
    params={
        "type": "object",
        "properties": {
            "event": _described(_NAME, "Its name: dotted words."),
            "payload": {"description": "Any value; null unless given."},
            "key": _described(
                {"type": ["string", "number"]}, "Emitted once under this key and name, however often."
            ),
        },
        "required": ["event"],
        "additionalProperties": False,
    },
    output=_described(_TEXT, "The event's id."),
    effect="write",
    calls=False,
    icon="megaphone",
)

APPROVAL: Final = TaskSpec(
    name="approval",
    summary="Waits until somebody approves or rejects.",
    params={
        "type": "object",
        "properties": {
            "message": _described(_TEXT, "What is to be decided."),
            "form": {"type": "object", "description": "JSON Schema of what is filled in with an approval."},
            "assignees": _described(_PEOPLE, "Who may decide; anybody unless given."),
            "quorum": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "default": 1,
                "description": "How many must approve; one rejection is enough.",
            },
            "timeout": _described(_DURATION, "How long; then `on_timeout` says what happens."),
            "on_timeout": {
                "enum": ["fail", "approve", "reject"],
                "default": "fail",
                "description": "`fail` has the kind `approval.timeout`, `reject` `approval.rejected`.",
            },
            "reminder": _described(
                _DURATION, "How often to remind: a log line and the event `approval.reminder`."
            ),
            "escalation": {
                "type": "object",
                "properties": {
                    "after": _DURATION,
                    "assignees": _described(_PEOPLE, "Who may decide then, too."),
                },
                "required": ["after", "assignees"],
                "additionalProperties": False,
                "description": "Who else may decide after a while: a log line and the event `approval.escalated`.",
            },
        },
        "required": ["message"],
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "properties": {
            "by": {"type": ["string", "null"], "description": "Who decided it; null when time did."},
            "at": {"description": "When."},
            "form": {"description": "What was filled in."},
            "voices": {"type": "array", "description": "With a quorum over 1: `{by, at, form}` of each."},
        },
        "required": ["by", "at", "form"],
    },
    effect="read",
    roles={"form": ("literal",), "on_timeout": ("literal",)},
    calls=False,
    icon="stamp",
)
