"""Stopping: a run that somebody cancels or whose time is up, a graph whose task is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.records import CancelAsked
from flowbuilder.runtime.state import Frame

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState


class Cancellation:
    """Stops runs in order: what runs is told to stop, nothing more starts, then comes `finally`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def cancel(self, run: RunState, reason: str, kind: str = "cancelled", *, undo: bool = True) -> bool:
        """Cancel a run; False if it has ended or was told before.  One that is paused is so no more.

        Child processes are ended (TERM, then KILL), child runs cancelled.
        What the run has done is undone, unless `undo` says otherwise.  It
        ends `cancelled` after its `finally`; where `kind` is
        `timeout` it ends `failed` after its `on_failure` and `finally`.
        """
        if run.ended or run.lost or run.cancel is not None:
            return False
        held = () if run.held is None else self._machine.pauses.lift(run)
        run.cancel = (kind, reason)
        undo = undo or self._machine.undos.have_begun(run)  # from there on nothing stops it
        run.without_undo = not undo
        run.records.append(CancelAsked(self._machine.clock.now(), reason, kind, undo))
        self._machine.committer.touch(run)
        self.apply(run)
        for action in held:  # what it would begin has ended; a map learns that it is to end
            action()
        if held:
            self._machine.scheduler.pump(run)
        return True

    def time_is_up(self, run: RunState) -> None:
        """Stop a run that has taken longer than its flow allows."""
        self.cancel(run, f"no end within {run.plan.timeout:g} s", "timeout")

    def apply(self, run: RunState) -> None:
        """Stop the graph that is running, unless it is the `finally`, which always ends."""
        assert run.cancel is not None
        frame = run.phase
        if frame is not None and frame.prefix != "finally:":
            self.freeze(frame, run.cancel[0])
            self._machine.scheduler.pump(run)

    def freeze(self, frame: Frame, why: str) -> None:
        """Let nothing more of a graph start, and stop what of it is running."""
        if frame.frozen is not None:
            return
        frame.frozen = why
        inner = [one for one in frame.run.executions if not one.ended and one.frame.lies_in(frame)]
        for execution in inner:  # all graphs first, or each would look through all executions for its own
            execution.frame.frozen = execution.frame.frozen or why
            if type(execution.handle) is Frame:
                execution.handle.frozen = execution.handle.frozen or why
        for execution in inner:
            if not execution.ended:
                self._machine.stops.stop(execution, why)
