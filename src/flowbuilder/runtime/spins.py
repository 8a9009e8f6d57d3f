"""Rounds that only compute: carried out in place, many at a stretch, and written down now and then."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.plan import LOOP, OUTPUT
from flowbuilder.core.rounds import round_path
from flowbuilder.runtime.scheduler import SLICE

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution

CHECKPOINT: Final = 0.25
"""Seconds of pure rounds that a crash may take back."""
_STRIDE: Final = 64
"""Rounds between two looks at the time, at most."""
_QUICK: Final = SLICE / 16
"""Seconds that rounds between two looks may take for twice as many to go without one."""
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_SOUND: Final = frozenset({str, bool, type(None)})


class Spins:
    """Carries out rounds without a step between."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._now = machine.clock.now

    @staticmethod
    def fit(execution: Execution) -> bool:
        """Tell whether the rounds of a task are of this kind."""
        task = execution.task
        repeat = task.repeat
        assert repeat is not None
        return (
            task.kind == "compute"
            and task.schema is None
            and task.undo is None
            and not task.uses_now
            and execution.frame.run.masker is None
            and not repeat.delay
        )

    def spin(self, execution: Execution) -> None:
        """Carry out rounds in place, for no longer than a slice; now and then they are written down."""
        # hot: benchmarks/rounds.py; ten times the general way, which the tests hold beside it
        loop, task, scope = execution.loop, execution.task, execution.scope
        repeat, value = task.repeat, task.value
        assert loop is not None
        assert repeat is not None
        assert value is not None
        test, until, collect = repeat.test, repeat.until, repeat.collect
        most = math.inf if repeat.max is None else repeat.max
        execution.attempt = 1
        index, state, recent = loop.round, loop.state, loop.recent
        looked = time.perf_counter()
        end, look, stride = looked + SLICE, index + 1, 1
        done = False
        failed: ExpressionError | OutputError | None = None
        try:
            while True:
                scope[LOOP] = {"state": state, "index": index}
                if not until and not test(scope):
                    done = True
                    break
                if index >= most:
                    break
                output = value(scope)
                kind = type(output)
                if not (kind in _SOUND or (kind is int and _INT_MIN <= output <= _INT_MAX)):
                    values.encode(output)  # what no journal could hold must not go from round to round
                scope[OUTPUT] = output
                if until:
                    done = bool(test(scope))
                if collect is not None:
                    loop.collected.append(collect(scope))
                state = output
                index += 1
                recent.append((index, output))
                if done:
                    break
                if index >= look:  # after each round, unless rounds are quick
                    last, looked = looked, time.perf_counter()
                    if looked > end:
                        break
                    stride = min(_STRIDE, 2 * stride) if looked - last < _QUICK else 1
                    look = index + stride
        except (ExpressionError, OutputError) as error:
            failed = error
        loop.round, loop.state = index, state
        loop.moment = now = self._now()
        execution.path = round_path(loop.path, index + 1)
        overrun = not done and failed is None and index >= most
        if (
            done
            or overrun
            or failed is not None
            or abs(now - (loop.checkpoint or execution.started_at)) > CHECKPOINT
        ):
            loop.checkpoint = now
            self._write_down(execution, now)
        if failed is not None:
            self._machine.failures.fail(execution, failed.kind, str(failed))
        elif done:
            self._machine.loops.finish(execution)
        elif overrun:
            self._machine.loops.overrun(execution, int(most))
        else:
            self._machine.loop.call_soon(self._machine.loops.go_on, execution)

    def _write_down(self, execution: Execution, now: float) -> None:
        loop = execution.loop
        assert loop is not None
        for number, output in loop.recent:
            loop.encoded = values.encode(output)
            self._machine.loops.record(execution, number, loop.encoded, now)
        loop.recent.clear()
