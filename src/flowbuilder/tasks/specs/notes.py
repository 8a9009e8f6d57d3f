"""`fail`, `log` and `assert`: what a flow says of itself."""

from __future__ import annotations

from typing import Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import NOTHING, TEXT, described, with_

FAIL: Final = TaskSpec(
    name="fail",
    summary="Fails, with an error of the author's own.",
    params=with_(
        {
            "kind": described(
                TEXT, "Dotted, such as `order.invalid`.", default="fail", pattern=r"^[A-Za-z0-9_.-]+$"
            ),
            "message": described(TEXT, "What went wrong."),
            "data": {"description": "Whatever helps whoever handles it."},
        },
        required=("message",),
    ),
    output=NOTHING,
    effect="read",
    calls=False,
    icon="octagon-x",
)

LOG: Final = TaskSpec(
    name="log",
    summary="Writes a line to the run's log.",
    params=with_(
        {
            "message": TEXT,
            "level": {"enum": ["debug", "info", "warning", "error"], "default": "info"},
            "data": {"description": "Kept beside the message."},
        },
        required=("message",),
    ),
    output=NOTHING,
    effect="read",
    calls=False,
    icon="scroll-text",
)

ASSERT: Final = TaskSpec(
    name="assert",
    summary="Fails unless something holds.",
    params=with_(
        {
            "that": {"type": "boolean", "description": "What must hold."},
            "message": TEXT,
            "kind": described(TEXT, "Of the error.", default="assert", pattern=r"^[A-Za-z0-9_.-]+$"),
        },
        required=("that",),
    ),
    output=NOTHING,
    effect="read",
    roles={"that": ("condition",)},
    calls=False,
    icon="circle-check",
)
