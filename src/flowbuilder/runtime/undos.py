"""Undoing: what a run has done is reversed when it fails or is cancelled, the newest first.

Before an effect that can be undone starts it is *armed*: a record says so,
and is on disk.  It is disarmed when it is known that nothing was done.  So
what is armed and has not succeeded is in doubt, and is undone too, whatever
became of the engine.  Undos are tasks: journaled, tried again, never repeated
once they have ended.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import ExpressionError, FlowBuilderError, StoreError
from flowbuilder.core.failure import failure
from flowbuilder.core.globs import kind_matches
from flowbuilder.core.plan import ERROR, OUTPUT, UNDO
from flowbuilder.core.records import Armed, Disarmed, PhaseEntered
from flowbuilder.core.rules import FAILED
from flowbuilder.runtime.recovered import replay
from flowbuilder.runtime.state import Frame
from flowbuilder.runtime.undoable import undoables, undoables_of_attempt
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.failure import Error
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.recovered import Recovered
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.runtime.undoable import Undoable

    Gather = Callable[[Recovered], list[Undoable]]

DOUBTFUL: Final = (
    *("timeout", "cancelled", "engine.*", "executor.crashed", "script.exit", "output.*"),
    *("http.timeout", "http.broken", "http.json", "http.save", "http.redirects"),
    *("sql.connect", "email.connect"),  # maybe it broke off when all had been said
    *("resource.cpu", "resource.memory", "resource.files", "resource.time", "shell.output", "shell.file"),
)
"""Kinds of error after which it is not known that nothing was done."""

_ARMED: Final = 0
_IN_FLIGHT: Final = 1
_DOUBTED: Final = 2
"""How it stands with the effect of a task: about to begin, begun, begun and not known to have failed."""

LOOK_AGAIN: Final = 0.5
"""Seconds between two looks at a sub-flow that is to end."""
MOST_NAMED: Final = 100
"""What could not be undone and is named in the run's error; all of it is in `run.errors`."""


class UndoState:
    """What a run in memory knows of its undoing."""

    __slots__ = ("active", "armed", "blame", "done", "failed", "then", "waits")

    def __init__(self) -> None:
        self.armed: dict[str, int] = {}
        """Effects by path, and how it stands with them."""
        self.active = 0
        """Attempts of groups that are being undone."""
        self.then: Callable[[], None] | None = None
        """What follows when all has been undone, from when on it is asked for."""
        self.done = False
        self.failed: list[Error] = []
        """What could not be undone."""
        self.blame = False
        """The undo that is in flight has killed engines, and is given up."""
        self.waits = False
        """For a sub-flow that was told to stop."""


class Undos:
    """Arms what can be undone, and undoes it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scheduler = machine.scheduler
        self._now = machine.clock.now

    # -- knowing what is in doubt ----------------------------------------------------

    def arm(self, execution: Execution) -> None:
        """Say that an effect is about to begin; it may when that is on disk."""
        run = execution.frame.run
        armed = _state(run).armed
        if execution.path in armed:
            return
        if run.recovered is not None and execution.path in run.recovered.armed:
            # what was in flight when its engine died; a group or a sub-flow is carried on where it was
            again = execution.task.kind not in ("group", "flow")
            doubted = again or execution.path in run.recovered.doubted
            armed[execution.path] = _DOUBTED if doubted else _IN_FLIGHT
            return
        armed[execution.path] = _ARMED
        run.records.append(Armed(execution.path, self._now()))
        self._machine.committer.touch(run)

    @staticmethod
    def launched(execution: Execution) -> None:
        """Say that the effect begins."""
        armed = _state(execution.frame.run).armed
        if armed.get(execution.path) == _ARMED:
            armed[execution.path] = _IN_FLIGHT

    def failed(self, execution: Execution, kind: str, *, in_doubt: bool = False) -> None:
        """Take in that an attempt failed: cleanly, or it is not known what it did."""
        armed = _state(execution.frame.run).armed
        if execution.path in armed:
            if (in_doubt or kind_matches(kind, DOUBTFUL)) and armed[execution.path] != _ARMED:
                armed[execution.path] = _DOUBTED
            elif armed[execution.path] != _DOUBTED:
                self._disarm(execution)

    def failed_cleanly(self, execution: Execution) -> None:
        """Take in that an attempt failed whose tasks, or whose run, have undone what they did."""
        if _state(execution.frame.run).armed.get(execution.path, _DOUBTED) != _DOUBTED:
            self._disarm(execution)

    def cancelled(self, execution: Execution) -> None:
        """Take in that an execution was cancelled, maybe before its effect had begun."""
        if _state(execution.frame.run).armed.get(execution.path) == _ARMED:
            self._disarm(execution)

    def _disarm(self, execution: Execution) -> None:
        run = execution.frame.run
        del _state(run).armed[execution.path]
        run.records.append(Disarmed(execution.path, self._now()))
        self._machine.committer.touch(run)

    # -- undoing a run ---------------------------------------------------------------

    @staticmethod
    def wanted(run: RunState) -> bool:
        """Tell whether there may be something to undo of a run that does not succeed."""
        return run.plan.main.undoes and not run.without_undo and not (run.undo is not None and run.undo.done)

    @staticmethod
    def have_begun(run: RunState) -> bool:
        """Tell whether what the run has done is being undone, or has been."""
        if run.undo is not None and (run.undo.done or run.undo.then is not None):
            return True
        return run.recovered is not None and "undo" in run.recovered.phases

    def begin(self, run: RunState, then: Callable[[], None]) -> None:
        """Undo all that a run has done, one after the other, and call `then`."""
        state = _state(run)
        state.then = then
        run.phase = None  # from here on nothing stops it
        if run.recovered is None or "undo" not in run.recovered.phases:
            run.records.append(PhaseEntered("undo", self._now(), run.error))
            self._machine.committer.touch(run)
        else:
            state.blame = run.row.crashes >= self._machine.config.engine.crashes
        if not state.active:
            self._undo_all(run)

    def _undo_all(self, run: RunState) -> None:
        assert run.frame is not None
        frame = run.frame
        self._undo(run, lambda journal: undoables(frame.plan, frame.scope, "", journal), self._all_undone)

    def _all_undone(self, run: RunState) -> None:
        state = _state(run)
        state.done = True
        then, state.then = state.then, None
        assert then is not None
        then()

    # -- undoing an attempt of a group -------------------------------------------------

    def before_retry(self, execution: Execution, then: Callable[[], None]) -> None:
        """Undo what an attempt of a group has done, then call `then`: the next one does it all anew."""
        run = execution.frame.run
        task, attempt = execution.task, execution.attempt
        _state(run).active += 1

        def gather(journal: Recovered) -> list[Undoable]:
            return undoables_of_attempt(task, execution.scope, execution.path, attempt, journal)

        def undone(run: RunState) -> None:
            state = _state(run)
            state.active -= 1
            if not execution.ended:
                then()
            if state.then is not None and not state.active:
                self._undo_all(run)

        self._undo(run, gather, undone)

    # -- one after the other -----------------------------------------------------------

    def _undo(self, run: RunState, gather: Gather, done: Callable[[RunState], None]) -> None:
        """Read the journal once it is on disk, undo what `gather` finds in it, and call `done`."""
        run.busy += 1

        def on_disk(error: Exception | None) -> None:
            if error is None and not run.lost:
                self._machine.recovery.in_background(self._read(run, gather, done))

        self._machine.committer.when_on_disk(run, on_disk)

    def _look_again(self, what: tuple[RunState, Gather, Callable[[RunState], None]]) -> None:
        run, gather, done = what
        _state(run).waits = False
        if not run.lost and not self._machine.stopping:
            self._undo(run, gather, done)

    async def _read(self, run: RunState, gather: Gather, done: Callable[[RunState], None]) -> None:
        store, open = self._machine.store, self._machine.sealing.opener(run.id)
        try:
            journal = await self._machine.in_thread(
                lambda: replay(store.journal(run.id), store.blobs().get, open)
            )
        except StoreError as error:
            if not run.lost:
                self._machine.recovery.lost([run], error)
            return
        except FlowBuilderError as error:  # a key that is no longer there
            self._machine.phases.broken(run, error)
            return
        if run.lost:
            return
        run.busy -= 1
        try:
            found = gather(journal)
        except ExpressionError as error:
            self._machine.phases.broken(run, error)
            return
        left = []
        if any(one.child is not None for one in found):
            others = await self._without_reversed(found)
            if run.lost:
                return
            if others is None:
                _state(run).waits = True
                moment = self._now() + LOOK_AGAIN
                self._machine.timers.at(moment, self._look_again, (run, gather, done))
                return
            found = others
        for one in found:
            ended = journal.ended.get(one.path + UNDO)
            if ended is None:
                left.append(one)
            elif ended.code == FAILED and _state(run).then is not None:
                self._note(run, ended.error)
        left.reverse()
        self._next(run, left, done)
        self._scheduler.pump(run)

    async def _without_reversed(self, found: list[Undoable]) -> list[Undoable] | None:
        """Leave out sub-flows that were told to stop and have undone what they did; None while one is at it."""
        machine = self._machine
        left: list[Undoable] = []
        for one in found:
            row = None
            if one.child is not None:
                row = await machine.in_thread(functools.partial(machine.store.run, one.child))
            if row is not None and row.status in LIVE:
                machine.recovery.cancel_soon(row.id, "its parent was told to stop")
                return None
            if row is None or row.status == "succeeded":
                left.append(one)
        return left

    def _next(self, run: RunState, left: list[Undoable], done: Callable[[RunState], None]) -> None:
        """Undo the last of what is left."""
        if not left:
            done(run)
            return
        one = left.pop()
        assert one.task.undo is not None
        frame = Frame(
            run, one.task.undo, one.scope, one.path, None, functools.partial(self._undone, run, left, done)
        )
        frame.scope[OUTPUT] = one.output
        frame.scope[ERROR] = run.error
        state = _state(run)
        if state.blame:
            state.blame = False
            crashes = run.row.crashes
            error = failure(
                "engine.crashed", f"it was in flight at {crashes} crashes of the engine", one.path + UNDO
            )
            self._scheduler.end(frame, frame.plan.tasks[0], one.path + UNDO, FAILED, error=error)
            return
        self._scheduler.open_frame(frame)

    def _undone(
        self, run: RunState, left: list[Undoable], done: Callable[[RunState], None], frame: Frame
    ) -> None:
        if frame.error is not None and _state(run).then is not None:
            self._note(run, frame.error)
        self._next(run, left, done)

    @staticmethod
    def _note(run: RunState, error: Any) -> None:
        """Remember what could not be undone; the run's own error stays what it is."""
        run.errors.append(error)
        _state(run).failed.append(error)

    @staticmethod
    def told(run: RunState, error: Error) -> Error:
        """Return a run's error with what could not be undone named in it."""
        if run.undo is None or not run.undo.failed:
            return error
        named = [
            {"task": one["task"].removesuffix(UNDO), "kind": one["kind"], "message": one["message"]}
            for one in run.undo.failed[:MOST_NAMED]
        ]
        return {**error, "not_undone": named}


def _state(run: RunState) -> UndoState:
    if run.undo is None:
        run.undo = UndoState()
    return run.undo
