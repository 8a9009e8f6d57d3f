"""Runs of a flow that wait for each other: `concurrency` and `debounce`.

Who has a place is in the store (`storage.lanes`).  What this engine keeps is
a cache: the lanes in which something may be queued, so that it looks again
when a run of theirs ends, and now and then, in case that another engine's has.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.errors import FlowBuilderError, KeyConflict, StoreError
from flowbuilder.core.plan import HEADER
from flowbuilder.runtime.context import Context
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.start import ASIDE
from flowbuilder.storage.api import LIVE
from flowbuilder.storage.lanes import Enter, Entered, Hold

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.start import Start
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import RunRow

_log = logging.getLogger("flowbuilder.engine")

LOOK_AGAIN: Final = 0.5
"""Seconds of real time between two looks at lanes in which runs of other engines have the places."""
MOST: Final = 1000
"""Runs that are begun, and starts that are taken in, by one transaction."""
HELD: Final = "held:"
"""What the lanes of starts that are held begin with."""


class RunLanes:
    """Takes runs in that need a place, and begins them when there is one."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.adopts = False
        """Whether this engine also begins runs that other engines have left in the store."""
        self._limits: dict[str, int] = {}
        """Lanes in which runs may be queued, with their places."""
        self._free: set[str] = set()
        """Lanes in which a place may be free."""
        self._taking = False
        self._coming: list[tuple[Enter | Hold, asyncio.Future[Entered]]] = []
        self._entering = False
        self._next_look: asyncio.TimerHandle | None = None

    # -- coming --------------------------------------------------------------------

    async def start(self, plan: FlowPlan, inputs: dict[str, Any], how: Start) -> RunRow:
        """Take a run in, and return its row when it is on disk: running, queued, held, or ended at once.

        Raises:
            ExpressionError: if a key cannot be evaluated.
            KeyConflict: the key's run has other inputs.
            StoreError: the run was not accepted.
        """
        row = self._machine.starts.make_row(plan, inputs, how)
        lanes = plan.lanes
        assert lanes is not None
        if lanes.concurrency is not None:  # also of one that is held first, as it comes to that later
            row.lane = self._key(plan, inputs, row, lanes.concurrency_key)
            await self._refuse_to_wait_for_a_parent(row)
        entry = self._entry(plan, inputs, row)
        if how.seed is not None:
            entry = msgspec.structs.replace(entry, batch=records.encode(how.seed.records))
        return await self._machine.recovery.to_the_end(self._come(plan, inputs, row, entry))

    async def _come(self, plan: FlowPlan, inputs: dict[str, Any], row: RunRow, entry: Enter | Hold) -> RunRow:
        """Enter a run, and see to what follows from that."""
        entered = await self._enter(entry)
        await self._tell(entered)
        found = entered.row
        if found.id != row.id:
            if row.key is not None and found.key == row.key and not self._is_same(found, row, inputs):
                raise KeyConflict(row.key, found.id)
            live = self._machine.runs.live.get(found.id)
            return found if live is None else live.row
        self._emit(found)
        if found.deadline_at is not None and found.status in ("queued", "waiting"):
            self._machine.deadlines.at_rest(found.id, found.deadline_at)
        if found.status == "running":
            await self._machine.loading.carry_on([found])
            live = self._machine.runs.live.get(found.id)
            return found if live is None else live.row
        if found.status == "queued":
            self._watch(found, plan)
            self._take_soon(found.lane)
        elif found.status == "waiting" and found.wake_at is not None:
            if self._machine.recovery.own is not None:
                self._machine.recovery.own.add(found.id, found.wake_at)
            self._machine.recovery.wake_at(found.wake_at)
        return found

    def _is_same(self, known: RunRow, row: RunRow, inputs: dict[str, Any]) -> bool:
        """Tell whether a run was started with these inputs; what is sealed looks different each time."""
        return known.inputs == row.inputs or self._machine.sealing.inputs(known) == inputs

    def _entry(self, plan: FlowPlan, inputs: dict[str, Any], row: RunRow) -> Enter | Hold:
        lanes = plan.lanes
        assert lanes is not None
        if lanes.debounce is not None:
            row.lane = HELD + self._key(plan, inputs, row, lanes.debounce_key)
            return Hold(row, lanes.debounce)
        return self._enter_entry(plan, row)

    def _enter_entry(self, plan: FlowPlan, row: RunRow, *, known: bool = False) -> Enter:
        lanes = plan.lanes
        assert lanes is not None
        assert lanes.concurrency is not None
        row.owner = self._machine.id
        return Enter(row, lanes.concurrency, owned=not self.adopts, known=known)

    def _key(self, plan: FlowPlan, inputs: dict[str, Any], row: RunRow, function: Any) -> str:
        """Return a lane: the flow's own, or the one of a key within the flow."""
        if function is None:
            return plan.name
        scope: list[Any] = [None] * HEADER
        scope[0] = context = Context(plan, inputs, row)
        context.trigger = self._machine.sealing.opened_trigger(context.trigger)
        return f"{plan.name}/{self._machine.sealing.key_of(function, scope)}"

    async def _refuse_to_wait_for_a_parent(self, row: RunRow) -> None:
        """Refuse a run that would wait for the one which waits for it, be that in memory or in the store."""
        machine, below = self._machine, row
        while below.parent is not None and not _is_aside(below):
            live = machine.runs.live.get(below.parent)
            above: RunRow | None = live.row if live is not None else None
            if above is None:
                above = await machine.in_thread(functools.partial(machine.store.run, below.parent))
            if above is None:
                return
            if above.lane is not None and above.lane == row.lane and above.status in LIVE:
                raise FlowBuilderError(
                    f"the run would wait for a place that run {above.id} has, which waits for it: "
                    "give `concurrency` another `key`, or start the flow with `wait: false`"
                )
            below = above

    # -- entering, many at a time ------------------------------------------------------

    async def _enter(self, entry: Enter | Hold) -> Entered:
        """Have the store take a run in; those who come in the same turn are one transaction."""
        entered: asyncio.Future[Entered] = self._machine.loop.create_future()
        self._coming.append((entry, entered))
        if not self._entering:
            self._entering = True
            self._machine.recovery.in_background(self._enter_all())
        return await asyncio.shield(entered)

    async def _enter_all(self) -> None:
        some: list[tuple[Enter | Hold, asyncio.Future[Entered]]] = []
        try:
            while self._coming:
                await asyncio.sleep(0)  # for those who come in this turn
                some, self._coming = self._coming[:MOST], self._coming[MOST:]
                entries = [entry for entry, _ in some]
                try:
                    entered = await self._machine.in_thread(functools.partial(self._enter_some, entries))
                except (
                    Exception
                ) as error:  # it is told to those who came; the next are a transaction of their own
                    _refuse(some, error)
                    continue
                for (_, future), found in zip(some, entered, strict=True):
                    if not future.done():
                        future.set_result(found)
        except asyncio.CancelledError:
            _refuse([*some, *self._coming], StoreError("the engine is gone"))
            self._coming = []
            raise
        finally:
            self._entering = False

    def _enter_some(self, entries: list[Enter | Hold]) -> list[Entered]:
        """Enter and hold; on a thread, each sort as one transaction, in the order within each."""
        lanes, now = self._machine.store.lanes(), self._machine.clock.now()
        enter = [entry for entry in entries if isinstance(entry, Enter)]
        hold = [entry for entry in entries if isinstance(entry, Hold)]
        entered = iter(lanes.enter(enter, now) if enter else ())
        held = iter(lanes.hold(hold, now) if hold else ())
        return [next(entered if isinstance(entry, Enter) else held) for entry in entries]

    async def _tell(self, entered: Entered) -> None:
        """Tell those who wait for runs that will never begin."""
        for row in entered.cancelled:
            self._machine.runs.ended_in_store(row)

    def _emit(self, row: RunRow) -> None:
        bus = self._machine.bus
        if bus.active and row.status in ("queued", "waiting"):
            bus.emit(RunEvent(row.id, row.flow, row.status, row.created_at))

    # -- coming back from the store ----------------------------------------------------

    async def begin_held(self, row: RunRow, plan: FlowPlan) -> bool:
        """Let a start go on whose wait is over; False if it must wait for a place first."""
        lanes = plan.lanes
        if lanes is None or lanes.concurrency is None:
            return True
        waiting = msgspec.structs.replace(row)
        waiting.lane = self._key(plan, self._machine.sealing.inputs(row), waiting, lanes.concurrency_key)
        entry = self._enter_entry(plan, waiting, known=True)
        entered = await self._enter(entry)
        await self._tell(entered)
        found = entered.row
        if found.id == row.id and found.status == "running":
            row.lane, row.started_at = found.lane, found.started_at
            row.status = "running"
            return True
        if found.id == row.id and found.status == "queued":
            self._watch(found, plan)
            self._take_soon(found.lane)
        else:
            ended = await self._machine.in_thread(functools.partial(self._machine.store.run, row.id))
            if ended is not None and ended.status not in LIVE:
                self._machine.runs.ended_in_store(ended)
        return False

    # -- beginning -----------------------------------------------------------------------

    def ended(self, run: RunState) -> None:
        """Take in that a run which had a place has ended."""
        lanes, lane = run.plan.lanes, run.row.lane
        if lane is not None and lanes is not None and lanes.concurrency is not None:
            self._limits[lane] = lanes.concurrency.limit
            self._take_soon(lane)

    def _watch(self, row: RunRow, plan: FlowPlan) -> None:
        assert row.lane is not None
        assert plan.lanes is not None
        assert plan.lanes.concurrency is not None
        self._limits[row.lane] = plan.lanes.concurrency.limit
        self._look_later()

    def _take_soon(self, lane: str | None) -> None:
        """Begin who is queued in a lane, if a place is free; lanes that come together are one transaction."""
        if lane is None or self._machine.stopping:
            return
        self._free.add(lane)
        if not self._taking:
            self._taking = True
            self._machine.recovery.in_background(self._take())

    async def _take(self) -> None:
        try:
            while self._free:
                free = {lane: self._limits[lane] for lane in self._free if lane in self._limits}
                self._free.clear()
                await self._take_from(free)
        finally:
            self._taking = False

    async def _take_from(self, lanes: dict[str, int]) -> list[str]:
        machine = self._machine
        taken: list[str] = []
        while lanes and (most := min(MOST, machine.runs.room())) > 0:
            take = functools.partial(
                machine.store.lanes().take, lanes, machine.clock.now(), adopts=self.adopts, most=most
            )
            rows = await machine.in_thread(take)
            await machine.loading.carry_on(rows)
            taken += [row.id for row in rows]
            if len(rows) < most:
                break
        return taken

    async def look(self) -> list[str]:
        """Begin all that are queued in the store and have a place; return their ids."""
        if not self.adopts:
            return []
        lanes, after = self._machine.store.lanes(), ""
        while page := await self._machine.in_thread(functools.partial(lanes.queued, MOST, after)):
            for queued in page:
                if queued.lane not in self._limits:
                    await self._learn(queued.lane, queued.first)
            after = page[-1].lane
        self._look_later()
        return await self._take_from(dict(self._limits))

    async def _learn(self, lane: str, first: RunRow) -> None:
        """Find out how many places a lane has: as the flow of the next in turn says."""
        machine = self._machine

        def read() -> FlowPlan | None:
            definition = machine.store.flow(first.flow_hash)
            return None if definition is None else machine.plans.of_definition(first.flow_hash, definition)

        try:
            plan = await machine.in_thread(read)
        except FlowBuilderError as error:
            _log.error("run %s cannot be begun: %s", first.id, error)
            return
        if plan is not None and plan.lanes is not None and plan.lanes.concurrency is not None:
            self._limits[lane] = plan.lanes.concurrency.limit

    # -- looking what other engines have left ----------------------------------------------

    def _look_later(self) -> None:
        """Look again in a while; in real time, for other processes go by no other clock."""
        if self._limits and self._next_look is None and not self._machine.stopping:
            delay = max(LOOK_AGAIN, len(self._limits) / MOST)
            self._next_look = self._machine.loop.call_later(delay, self._look_soon)

    def _look_soon(self) -> None:
        self._next_look = None
        self._machine.recovery.in_background(self._look())

    async def _look(self) -> None:
        """Begin who has a place now, and forget lanes in which nobody is queued."""
        try:
            limits = dict(self._limits)
            await self._take_from(limits)
            lanes = self._machine.store.lanes()

            def empty() -> list[str]:
                return [lane for lane in limits if not lanes.count(lane)[1]]

            for lane in await self._machine.in_thread(empty):
                self._limits.pop(lane, None)
        finally:
            self._look_later()

    def close(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None


def _is_aside(row: RunRow) -> bool:
    """Tell whether nobody waits for a run whose parent there is."""
    return row.about is not None and ASIDE in values.decode(row.about)


def _refuse(some: list[tuple[Enter | Hold, asyncio.Future[Entered]]], error: Exception) -> None:
    """Tell those who came that the store has not taken them in."""
    for _, entered in some:
        if not entered.done():
            entered.set_exception(error)
            entered.exception()  # looked at: whoever waited may be gone
