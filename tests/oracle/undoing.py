"""What of a run was to be undone and what was, as its journal tells, record by record.

Shares nothing with the engine's own reading of a journal but the records.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable
from typing import Any

from flowbuilder.core import records
from flowbuilder.core.rules import CACHED, FAILED, SUCCEEDED

UNDO = "~undo"
_STEP = re.compile(r"\[[^\]]*\]|[@#]\d+")


@dataclasses.dataclass
class Undoing:
    """What a journal says of undoing."""

    done: dict[str, int] = dataclasses.field(default_factory=dict)
    """What has succeeded and can be undone, and at which record."""
    armed: dict[str, int] = dataclasses.field(default_factory=dict)
    """What may have begun and was not said to have failed cleanly."""
    before: list[str] = dataclasses.field(default_factory=list)
    """What was undone before a group was tried again."""
    undone: list[str] = dataclasses.field(default_factory=list)
    """What was undone in the end, in order."""
    after_cancel: int | None = None
    """At which record somebody cancelled the run without undoing."""
    began: bool = False

    def check(self, *, ended_well: bool) -> None:
        """Say whether exactly what has been done was undone, once each, the newest first."""
        everything = self.before + self.undone
        assert len(set(everything)) == len(everything), everything
        if self.after_cancel is not None or ended_well:
            assert self.undone == [], self
            return
        must = {path for path in (*self.done, *self.armed)}
        assert set(everything) == must, (must, everything, self)
        places = [self.done.get(path, self.armed.get(path, 0)) for path in self.undone]
        known = [place for path, place in zip(self.undone, places, strict=True) if path in self.done]
        assert known == sorted(known, reverse=True), self


def read(batches: Iterable[bytes], undoable: Collection[str]) -> Undoing:
    """Read a journal.

    Args:
        batches: of it.
        undoable: the ids of the tasks that have an undo.
    """
    found = Undoing()
    everything = [record for batch in batches for record in records.decode(batch)]
    for place, record in enumerate(everything):
        match record:
            case records.Armed(path=path):
                found.armed[path] = place
            case records.Disarmed(path=path):
                found.armed.pop(path, None)
            case records.RoundEnded(path=path, round=number):
                _done(found, path if number == 1 else f"{path}@{number}", undoable, place)
            case records.PhaseEntered(phase="undo"):
                found.began = True
            case records.CancelAsked(undo=False) if not found.began:
                found.after_cancel = place
            case records.Ended():
                _ended(found, record, undoable, place, rounds=_has_rounds(everything, record.path))
    return found


def _ended(found: Undoing, record: Any, undoable: Collection[str], place: int, *, rounds: bool) -> None:
    path = record.path
    if path.endswith(UNDO):
        if record.code in (SUCCEEDED, FAILED) and record.attempts:
            (found.undone if found.began else found.before).append(path.removesuffix(UNDO))
    elif (
        record.code == SUCCEEDED
        and record.error is None
        and record.reason != CACHED
        and record.count is None
        and record.attempts
    ) and not rounds:
        _done(found, path, undoable, place)


def _has_rounds(everything: list[Any], path: str) -> bool:
    return any(type(record) is records.RoundEnded and record.path == path for record in everything)


def _done(found: Undoing, path: str, undoable: Collection[str], place: int) -> None:
    if UNDO not in path and id_of(path) in undoable:
        found.done[path] = place


def id_of(path: str) -> str:
    """Return the id of the task at a path."""
    return re.split(r"[.!:]", _STEP.sub("", path))[-1]
