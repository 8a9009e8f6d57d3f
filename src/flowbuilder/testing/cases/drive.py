"""Runs one test: in memory, on a virtual clock that jumps over waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from flowbuilder.core.errors import FlowBuilderError, InputError, KeyConflict
from flowbuilder.core.failure import failure
from flowbuilder.runtime.events import RunEvent
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.load import load
from flowbuilder.storage.api import LIVE
from flowbuilder.testing.cases.mocks import MOCK, Mocks
from flowbuilder.testing.cases.names import mistaken_mocks, mistaken_sendings
from flowbuilder.testing.cases.outcome import Outcome, outcome_of
from flowbuilder.testing.cases.prepared import plan_of, secrets_of, settings_of, start
from flowbuilder.testing.cases.sending import Sender
from flowbuilder.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.config import Config
    from flowbuilder.runtime.state import Execution
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.load import LoadedFlow
    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.cases.case import Case, CaseRun

LOOK_AGAIN: Final = 0.002
"""Seconds of real time between two looks at whether the runs only wait."""
STAY: Final = 50 * 365 * 86400.0
"""Seconds after which a wait leaves memory in a test: never, or a parent would look for its child every few minutes
of a time that is skipped."""
IDLE_LOOKS: Final = 3
"""So often in a row it must be seen that nothing happens before the time moves on."""


async def run_case(case: Case) -> Outcome:
    """Run a test and return what came of it, whatever that is.

    Raises:
        FlowError: the flow is wrong.
        NotFound: there is no such flow.
    """
    config = settings_of(case.flow)
    loaded = load(case.flow, config.for_compiler())
    began = time.perf_counter()
    mistakes = [*mistaken_mocks(case, loaded.flow), *mistaken_sendings(case, loaded.flow)]
    if mistakes:
        return Outcome("not run", problem="\n".join(mistake.text for mistake in mistakes))
    clock = FakeClock() if case.clock is None else FakeClock(case.clock)
    outcome = await _run(case, loaded, clock, config)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _run(case: Case, loaded: LoadedFlow, clock: FakeClock, config: Config) -> Outcome:
    mocks = Mocks(case.mocks, clock)
    plan = plan_of(case, loaded)
    engine = Engine(":memory:", _lasting(config), clock=clock, secrets=secrets_of(case, loaded))
    try:
        async with asyncio.timeout(case.timeout), engine:
            engine.core.machine.calls.teach(MOCK, mocks)
            engine.core.machine.plans.know(plan)
            engine.core.machine.failures.chance = _the_longest
            driver = _Driver(case, plan, engine, clock, mocks)
            try:
                problem = await driver.to_the_end()
                outcome = await driver.outcome(problem)
                if mocks.missing:
                    outcome.problem = "\n".join(mocks.missing.values())
                return outcome
            finally:
                await driver.close()
    except TimeoutError:
        return Outcome("not ended", calls=mocks.calls, problem=f"it did not end within {case.timeout:g} s")
    except FlowBuilderError as error:
        return Outcome("not run", calls=mocks.calls, problem=str(error))


def _lasting(config: Config) -> Config:
    """Return settings by which all stays as long as a test lasts, however much time is skipped in it."""
    return replace(
        config,
        engine=replace(config.engine, leave_after=STAY),
        store=replace(config.store, retention=0.0, keep=0),
        events=replace(config.events, keep=0.0),
    )


def _the_longest(attempt: str) -> float:
    """Leave nothing of a retry's delay to chance: a test takes as long each time, and as long as is written."""
    return 1.0


class _Going:
    """A run of the test that was asked for."""

    def __init__(self, run: Run, sender: Sender, asked_at: float, same_as: str | None) -> None:
        self.run = run
        self.sender = sender
        self.asked_at = asked_at
        self.same_as = same_as
        self.ended: asyncio.Future[RunView] = asyncio.ensure_future(run.wait())
        self.ended_at: float | None = None


class _Driver:
    """Carries the runs of a test to their ends: starts each at its moment, sends what is to be sent, lets time pass."""

    def __init__(self, case: Case, plan: FlowPlan, engine: Engine, clock: FakeClock, mocks: Mocks) -> None:
        self._case, self._plan, self._engine, self._clock, self._mocks = case, plan, engine, clock, mocks
        self._began_at = clock.now()
        self._coming: list[CaseRun] = list(case.starts)
        self._going: dict[str, _Going] = {}
        self._refused: dict[str, Outcome] = {}
        self._listener = engine.core.machine.bus.listen(limit=1_000_000)
        self._ends: list[str] = []
        """Runs in the order in which they ended."""
        self._listening = asyncio.ensure_future(self._listen())

    async def close(self) -> None:
        """Stop to look at the runs; ends with the engine."""
        self._engine.core.machine.bus.leave(self._listener)
        await self._listening
        for going in self._going.values():
            going.ended.cancel()
            with contextlib.suppress(BaseException):
                await going.ended

    async def _listen(self) -> None:
        async for event in self._listener:
            if isinstance(event, RunEvent) and event.status not in LIVE:
                self._ends.append(event.run_id)

    async def to_the_end(self) -> str | None:
        """Return when all runs have ended, or why one never will; jumps over their waits."""
        looks = 0
        while True:
            await self._start_due()
            if going := [each.ended for each in self._open()]:
                await asyncio.wait(going, timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
            elif self._coming:
                await asyncio.sleep(LOOK_AGAIN)
            if await self._take_ends():
                looks = 0
                continue
            if not self._open() and not self._coming:
                return None
            looks = looks + 1 if self._only_waits() else 0
            if looks < IDLE_LOOKS:
                continue
            looks = 0
            if await self._send_due():
                continue
            if await self._has_moved():
                continue  # one has ended a moment ago, or goes on
            if (moment := self._next_moment()) is not None:
                self._clock.jump(moment)
            elif not await self._send_next():
                return await self._stuck()

    # -- starting ------------------------------------------------------------------

    async def _start_due(self) -> None:
        """Start the runs whose moment has come, in the order in which they stand."""
        while due := [run for run in self._coming if self._is_due(run)]:
            for run in due:
                self._coming.remove(run)
                await self._start(run)
            await self._take_ends()

    def _is_due(self, run: CaseRun) -> bool:
        moment = self._moment_of(run)
        return moment is not None and moment <= self._clock.now()

    def _moment_of(self, run: CaseRun) -> float | None:
        """Return when a run is to start; None while that is not known."""
        if run.after is None:
            return self._began_at + run.at
        if run.after in self._refused:
            return self._clock.now()
        before = self._going.get(run.after)
        return None if before is None or before.ended_at is None else before.ended_at + run.at

    async def _start(self, run: CaseRun) -> None:
        now = self._clock.now()
        try:
            handle = await start(self._engine, self._plan, self._case, run)
        except (InputError, KeyConflict) as error:
            self._refused[run.name] = Outcome("refused", error=failure("input", str(error)))
            return
        same_as = next((name for name, going in self._going.items() if going.run.id == handle.id), None)
        sender = Sender(run.sendings, self._engine, handle, now)
        self._going[run.name] = _Going(handle, sender, now, same_as)

    # -- going on ------------------------------------------------------------------

    def _open(self) -> list[_Going]:
        return [going for going in self._going.values() if not going.ended.done()]

    async def _take_ends(self) -> bool:
        """Note when runs have ended; tell whether any has."""
        ended = [going for going in self._going.values() if going.ended.done() and going.ended_at is None]
        for going in ended:
            going.ended_at = (await going.ended).ended_at or self._clock.now()
        return bool(ended)

    def _only_waits(self) -> bool:
        """Tell whether nothing happens until the time moves on or somebody sends something."""
        machine = self._engine.core.machine
        if machine.committer.outstanding or machine.recovery.busy:
            return False
        working = 0
        for run in machine.runs.live.values():
            if run.dirty or run.busy or run.ready:
                return False
            working += sum(not _stands_in_line(execution) for execution in run.executions)
        return working == self._mocks.sleeping

    async def _has_moved(self) -> bool:
        for going in self._open():
            if (await self._engine.row(going.run.id)).status not in LIVE:
                return True
        return not self._only_waits()

    def _next_moment(self) -> float | None:
        """Return the next moment at which anything happens by itself, or is to be sent or started."""
        moments = [self._engine.core.machine.timers.next_moment(), self._mocks.next_moment()]
        moments += [going.sender.next_moment() for going in self._open()]
        moments += [self._moment_of(run) for run in self._coming]
        far = self._clock.now() + STAY / 2  # what an engine does then is nothing that a test waits for
        return min((moment for moment in moments if moment is not None and moment < far), default=None)

    async def _send_due(self) -> bool:
        for going in self._open():
            if await going.sender.send_due(self._clock.now()):
                return True
        return False

    async def _send_next(self) -> bool:
        for going in self._open():
            if await going.sender.send_next():
                return True
        return False

    async def _stuck(self) -> str | None:
        """Return what is to be told of runs that go on for ever; None if that is what the test expects of them."""
        told = []
        expected = {run.name: run.expected.status for run in self._case.starts}
        for name, going in self._going.items():
            if going.ended.done() or going.same_as is not None:
                continue
            view = await self._engine.show(going.run.id)
            if view.status == expected[name]:
                continue
            waiting = [path for path, task in view.tasks.items() if task.status in ("waiting", "running")]
            what = ", ".join(waiting) or "nothing"
            told.append(f"the run{f' {name}' if name else ''} waits for ever, in {what}")
            await going.run.cancel("the test has nothing more to send")
        if not told:
            return None
        await asyncio.wait([going.ended for going in self._going.values()], timeout=1)
        return "; ".join(told) + ": `send` what it waits for, or give it a `timeout`"

    # -- what came of it -----------------------------------------------------------

    async def outcome(self, problem: str | None) -> Outcome:
        """Return what came of the run, or of all runs together and each by itself."""
        if not self._case.runs:
            if "" in self._refused:
                return self._refused[""]
            going = self._going[""]
            duration = self._clock.now() - going.asked_at
            found = await outcome_of(self._engine, going.run.id, self._mocks.calls, duration, problem)
            found.unsent = going.sender.left
            return found
        each = dict(self._refused)
        for name, going in self._going.items():
            duration = (going.ended_at or self._clock.now()) - going.asked_at
            each[name] = await outcome_of(self._engine, going.run.id, self._mocks.calls, duration, problem)
            each[name].same_as, each[name].unsent = going.same_as, going.sender.left
        runs = {run.name: each[run.name] for run in self._case.runs if run.name in each}
        return Outcome(
            status="ended",
            calls=self._mocks.calls,
            order=self._order_of_ends(),
            events=[event for one in runs.values() if one.same_as is None for event in one.events],
            logs=[line for one in runs.values() if one.same_as is None for line in one.logs],
            duration=self._clock.now() - self._began_at,
            problem=problem,
            runs=runs,
        )

    def _order_of_ends(self) -> list[str]:
        """Return the names of runs in the order in which they ended."""
        names = {going.run.id: name for name, going in self._going.items() if going.same_as is None}
        return list(dict.fromkeys(names[id] for id in self._ends if id in names))


def _stands_in_line(execution: Execution) -> bool:
    """Tell whether an execution waits: for a moment, for another run, or for a place that others have."""
    return execution.parked or (execution.held is not None and execution.held.waits is not None)
