"""Gathers what tasks cost, for the planner: a sample of each task's executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.core.rounds import without_rounds
from flowbuilder.core.rules import CONTINUED, FAILED
from flowbuilder.storage.api import Statistic

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Frame

PERIOD = 1.0
"""Seconds between two hand-overs to the store."""
SAMPLES = 100
"""Executions of one task that are looked at in a period: more would teach the planner nothing."""

COUNTED: Final = frozenset({"invoke", "wait", "approval", "flow"})
"""Kinds of tasks whose time the plan cannot know: what they call, or whom they wait for, decides it."""


class Observations:
    """What the engine saw tasks cost since it last told the store."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._loop = machine.loop
        self._store = machine.store
        self._seen: dict[tuple[str, str, str], list[tuple[float, int, bool, int]]] = {}
        self._due = False

    def add(
        self, frame: Frame, id: str, duration: float, output_bytes: int, code: int, items: int = 1
    ) -> None:
        """Note one execution of a task of a kind that is counted; a map counts as one, with so many items."""
        key = (frame.run.plan.name, frame.prefix, id)
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = seen = []
            if not self._due:
                self._due = True
                self._loop.call_later(PERIOD, self.hand_over)
        if len(seen) < SAMPLES:
            seen.append((duration, output_bytes, code in (FAILED, CONTINUED), items))

    def hand_over(self) -> None:
        """Give the store what was seen."""
        self._due = False
        seen, self._seen = self._seen, {}
        for (flow, prefix, id), samples in seen.items():
            path = plain_path(prefix + id)
            for duration, output_bytes, failed, items in samples:
                self._store.submit(Statistic(flow, path, duration, output_bytes, failed, items))
        if seen and not self._machine.stopping:
            self._machine.weighing.look_again(flow for flow, _, _ in seen)


def plain_path(path: str) -> str:
    """Return a task's path without indexes, rounds and group attempts, as the plan knows it.

    Example:
        >>> plain_path('build[3]#2.compile["x"]'), plain_path("poll@3.ask")
        ('build.compile', 'poll.ask')
    """
    if "[" not in path and "#" not in path:
        return without_rounds(path)
    kept: list[str] = []
    skipping = ""
    quoted = escaped = False
    for character in path:
        if skipping == "[":
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = quoted
            elif character == '"':
                quoted = not quoted
            elif character == "]" and not quoted:
                skipping = ""
        elif skipping == "#":
            if character in ".!":
                skipping = ""
                kept.append(character)
        elif character in "[#":
            skipping = character
        else:
            kept.append(character)
    return without_rounds("".join(kept))
