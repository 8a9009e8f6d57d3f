"""`repeat`: a task, or one element of a task, round by round.

A round is what the task would be without `repeat`: its attempts with their
retries and time limits.  Its end is a record, so that it is never carried out
again; of rounds that only compute (`spins.py`), now and then one is.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.plan import CONTEXT, LOOP, OUTPUT, UNSET
from flowbuilder.core.records import NULL, Collected, RoundEnded
from flowbuilder.core.rounds import round_path
from flowbuilder.runtime.loop import Loop
from flowbuilder.runtime.scheduler import SLICE

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState


class Loops:
    """Begins rounds and takes in how they end."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._attempts = machine.attempts
        self._now = machine.clock.now
        self._kept = machine.config.limits.loop_rounds

    def begin(self, execution: Execution) -> None:
        """Begin the first round, or the one behind those that the journal knows of."""
        run, task = execution.frame.run, execution.task
        repeat = task.repeat
        assert repeat is not None
        loop = Loop(execution.path, self._kept)
        loop.is_undone, loop.sensitive = task.undoes, task.sensitive
        known = run.recovered.rounds.pop(loop.path, None) if run.recovered is not None else None
        if known is not None:
            loop.round, loop.state, loop.moment = known.round, known.output, known.next_at
            loop.collected = known.values
            loop.written = loop.covered = len(known.values)
        execution.scope[LOOP] = {"state": loop.state, "index": loop.round}
        if run.recovered is not None and self._attempts.was_rescued(execution, run):
            return
        loop.spins = self._machine.spins.fit(execution)
        if known is None:
            loop.moment = self._now()
            if task.uses_now:
                self._attempts.stand(execution)
                loop.moment = execution.scope[CONTEXT].moment
            if repeat.state is not None:
                try:
                    loop.state = repeat.state(execution.scope)
                except ExpressionError as error:
                    execution.attempt = 1
                    self._machine.failures.fail(execution, error.kind, error.message)
                    return
        execution.loop = loop
        self._machine.histories.begin(run, loop)
        if known is not None and known.next_at > self._now():
            self._wait(execution, known.next_at)
        else:
            self._turn(execution)

    def close(self, execution: Execution) -> None:
        """Leave the rounds: what follows is of the whole task, and so is the path.

        What is done instead of a task that failed sees in `loop` how far it came.
        """
        loop = execution.loop
        if loop is not None:
            execution.scope[LOOP] = {"state": loop.state, "index": loop.round}
            execution.path = loop.path
            execution.loop = None
            self._machine.histories.end(execution.frame.run, loop)

    # -- from round to round --------------------------------------------------------

    def _wait(self, execution: Execution, at: float) -> None:
        self._attempts.park(execution, at)
        execution.timer = self._machine.timers.after(at - self._now(), self.go_on, execution)

    def go_on(self, execution: Execution) -> None:
        """Begin the next round, if the task is still at it."""
        run = execution.frame.run
        if execution.ended or execution.loop is None or run.lost or run.ended:
            return
        if run.held is not None:
            run.held.append(functools.partial(self.go_on, execution))
            return
        execution.timer = None
        self._attempts.unpark(execution)
        try:
            self._turn(execution)
        except Exception as error:
            self._machine.phases.broken(run, error)
            return
        self._machine.scheduler.pump(run)

    def _turn(self, execution: Execution) -> None:
        """Carry out rounds until one waits for something, for no longer than a slice at a stretch."""
        loop = execution.loop
        assert loop is not None
        loop.turning = True
        until = time.perf_counter() + SLICE
        try:
            while True:
                loop.again = False
                self._round(execution)
                if not loop.again or execution.ended:
                    return
                if time.perf_counter() > until:
                    self._machine.loop.call_soon(self.go_on, execution)
                    return
        finally:
            loop.turning = False

    def _round(self, execution: Execution) -> None:
        """Begin a round, unless the loop is at its end."""
        loop, task, run = execution.loop, execution.task, execution.frame.run
        repeat = task.repeat
        assert loop is not None
        assert repeat is not None
        if self._machine.stopping:
            return  # the next engine goes on with it
        if run.held is not None:
            run.held.append(functools.partial(self.go_on, execution))
            return
        if execution.frame.frozen is not None:
            self._machine.stops.cancelled(execution, execution.frame.frozen)
            return
        execution.path = round_path(loop.path, loop.round + 1)
        execution.attempt = 0
        execution.params = UNSET
        loop.round_at = self._now()
        if loop.spins:
            self._machine.spins.spin(execution)
            return
        execution.scope[LOOP] = {"state": loop.state, "index": loop.round}
        if not repeat.until and not self._asks(execution):
            return
        if repeat.max is not None and loop.round >= repeat.max:
            self.overrun(execution, repeat.max)
            return
        if run.recovered is not None and self._attempts.begin_again(execution, run):
            return
        self._attempts.attempt(execution)

    def _asks(self, execution: Execution) -> bool:
        """Ask `while`; where it does not hold, or fails, the loop is ended."""
        loop, task = execution.loop, execution.task
        assert loop is not None
        assert task.repeat is not None
        try:
            if task.uses_now:
                self._stand(execution, "while", loop.moment)
            if task.repeat.test(execution.scope):
                return True
        except ExpressionError as error:
            self._machine.failures.fail(execution, error.kind, error.message)
            return False
        self.finish(execution)
        return False

    @staticmethod
    def _stand(execution: Execution, where: str, moment: float) -> None:
        execution.scope[CONTEXT].stand(f"{execution.frame.run.id}/{execution.path}/{where}", moment)

    def round_ended(self, execution: Execution, value: Any, encoded: bytes) -> None:
        """Take in what a round yielded, and begin the next, or end the loop."""
        loop, task = execution.loop, execution.task
        repeat = task.repeat
        assert loop is not None
        assert repeat is not None
        self._attempts.unpark(execution)
        execution.handle = None
        if execution.timer is not None:
            execution.timer.cancel()
            execution.timer = None
        if execution.held is not None:
            self._machine.limits.let_go(execution)
        scope = execution.scope
        scope[OUTPUT] = value
        now = self._now()
        done = False
        try:
            if repeat.until:
                if task.uses_now:
                    self._stand(execution, "until", now)
                done = bool(repeat.test(scope))
            if repeat.collect is not None:
                if task.uses_now:
                    self._stand(execution, "collect", now)
                self._collect(execution.frame.run, loop, repeat.collect(scope))
        except (ExpressionError, OutputError) as error:
            self._machine.failures.fail(execution, error.kind, str(error))
            return
        loop.round += 1
        loop.state, loop.encoded = value, encoded
        loop.moment = now + repeat.delay
        self.record(execution, loop.round, encoded, now)
        if done:
            self.finish(execution)
        elif repeat.until and repeat.max is not None and loop.round >= repeat.max:
            self.overrun(execution, repeat.max)
        elif execution.frame.frozen is not None:
            self._machine.stops.cancelled(execution, execution.frame.frozen)
        elif repeat.delay:
            self._wait(execution, loop.moment)
        elif loop.turning:
            loop.again = True
        else:
            self._turn(execution)

    def _collect(self, run: RunState, loop: Loop, value: Any) -> None:
        """Add a value to the list; a large one goes to the blob store by itself."""
        encoded = values.encode([value])
        loop.collected.append(value)
        if len(encoded) > values.BLOB_BYTES:
            loop.covered = len(loop.collected) - 1
            self._machine.histories.write_collected(run, loop)
            loop.written = loop.covered = len(loop.collected)
            if loop.sensitive:
                encoded = self._machine.sealing.seal(run.id, round_path(loop.path, loop.round + 1), encoded)
            self._machine.large_values.keep(run, Collected(loop.path, loop.round + 1), encoded)

    def record(self, execution: Execution, number: int, encoded: bytes, now: float) -> None:
        """Write down that a round has ended well."""
        loop, run = execution.loop, execution.frame.run
        assert loop is not None
        if loop.sensitive:
            encoded = self._machine.sealing.seal(run.id, round_path(loop.path, number), encoded)
        small = len(encoded) <= values.BLOB_BYTES
        record = RoundEnded(
            loop.path,
            number,
            loop.round_at,
            now,
            loop.moment,
            execution.started_at,
            msgspec.Raw(encoded) if small else NULL,
            execution.attempt,
        )
        if small:
            run.records.append(record)
        else:
            self._machine.large_values.keep(run, record, encoded)
        loop.covered = len(loop.collected)
        loop.fresh += 1
        self._machine.committer.touch(run)

    # -- the end ------------------------------------------------------------------------

    def overrun(self, execution: Execution, most: int) -> None:
        """Fail a task that has had as many rounds as there may be."""
        repeat = execution.task.repeat
        assert repeat is not None
        assert execution.loop is not None
        execution.path = execution.loop.path
        execution.attempt = max(execution.attempt, 1)
        why = "`until` did not hold" if repeat.until else "`while` still held"
        message = f"{why} after {most:,} round{'s' * (most != 1)}, which is the most there may be (`max`)"
        self._machine.failures.fail(execution, "repeat.max", message, {"rounds": most}, retry=False)

    def finish(self, execution: Execution) -> None:
        """End the task with what its rounds came to."""
        loop, repeat = execution.loop, execution.task.repeat
        assert loop is not None
        assert repeat is not None
        execution.path = loop.path
        if repeat.collect is None:
            value = loop.state if loop.round else None
            encoded = loop.encoded if loop.round else values.NULL_BYTES
        else:
            value, encoded = loop.collected, None
        if encoded is None:
            try:
                encoded = values.encode(value, max_bytes=self._machine.config.limits.output_bytes)
            except OutputError as error:
                self._machine.failures.fail(execution, error.kind, str(error))
                return
        self._attempts.finished(execution, value, encoded)
