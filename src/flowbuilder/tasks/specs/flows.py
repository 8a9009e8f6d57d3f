"""`sleep`, `flow` and `group`: what the engine carries out itself."""

from __future__ import annotations

from typing import Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import DURATION, NOTHING, TEXT, described, with_

SLEEP: Final = TaskSpec(
    name="sleep",
    summary="Waits for a time to pass or to come.",
    params=with_(
        {"for": DURATION, "until": {"type": "string", "format": "date-time"}}, one_of=("for", "until")
    ),
    output=NOTHING,
    effect="read",
    calls=False,
    icon="clock",
)

FLOW: Final = TaskSpec(
    name="flow",
    summary="Runs another flow as a run of its own.",
    params=with_(
        {
            "path": described(TEXT, "The flow's file, from this file's folder on.", minLength=1),
            "name": described(TEXT, "The flow's name.", minLength=1),
            "inputs": {"type": "object"},
            "wait": {"type": "boolean", "default": True, "description": "Whether to wait for its end."},
            "key": {"type": ["string", "integer"], "description": "Makes starting it twice start it once."},
        },
        one_of=("path", "name"),
    ),
    output={},
    effect="write",
    calls=False,
    icon="workflow",
)

GROUP: Final = TaskSpec(
    name="group",
    summary="Runs the tasks inside it as one.",
    params=with_({}),
    output={},
    effect="pure",
    calls=False,
    icon="group",
)
