"""A trigger of other flows: each of their runs that ends starts one run, wherever it has ended.

Ends in this engine are told at once.  What ended while nothing was up, or
ends in another process, is found by looking at the store: at what is newer
than the last look, and at the runs that were live then.
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core import values
from flowbuilder.core.errors import EngineStopped, FlowBuilderError, StoreError
from flowbuilder.core.sealed import shown
from flowbuilder.core.triggers import FlowTrigger
from flowbuilder.storage.api import LIVE, RunFilter
from flowbuilder.triggers.state import Progress
from flowbuilder.triggers.untimed import Untimed

if TYPE_CHECKING:
    from flowbuilder.storage.api import RunRow
    from flowbuilder.triggers.armed import Armed
    from flowbuilder.triggers.service import Triggers

LOOK_EVERY: Final = 5.0
"""Seconds between two looks for runs that end in other engines."""
SELDOM: Final = 12
"""Looks after which those are looked at too that sleep in the store."""
SLACK: Final = 60.0
"""Seconds before the last look in which a run may have ended that we have not seen."""
PAGE: Final = 1000
MOST_PASSED: Final = 100
"""Runs that are written down as left out by the trigger's `if`: they may be looked at once more."""
MOST_REMEMBERED: Final = 10_000
LARGEST_OUTPUTS: Final = 64 * 1024
"""Bytes of outputs that `trigger.run` has; larger ones stay in the run."""


class Ends(Untimed):
    """One trigger of other flows, while its flow is up."""

    def __init__(self, service: Triggers, armed: Armed, progress: Progress | None) -> None:
        super().__init__(
            service, armed, progress or Progress(last=(now := service.machine.clock.now()), low=now)
        )
        self._open: dict[str, RunRow] = {}
        """Runs that were live at the last look, and are not in this engine's memory; and those put off."""
        self._seen: dict[str, None] = dict.fromkeys(self.progress.passed)
        """Runs that were seen to, the newest last."""
        self._looks = 0
        self._looking = False
        self._looked_at = self.progress.low or self.progress.last
        self.replace(armed)

    def replace(self, armed: Armed) -> None:
        """Take another version of the trigger; one of other flows begins with what ends from now on."""
        if self.take(armed):
            self.progress.last = self.progress.low = self._looked_at = self._machine.clock.now()
            self._open.clear()
        assert isinstance(armed.trigger.kind, FlowTrigger)
        self._kind = armed.trigger.kind
        self.note()
        self.look_soon()

    def pass_over(self) -> None:
        """Go on with what ends from now on."""
        self.progress.last = self.progress.low = self._looked_at = self._machine.clock.now()
        self.note()

    # -- what ends ---------------------------------------------------------------------

    @property
    def flows(self) -> tuple[str, ...]:
        """The flows that it waits for."""
        return self._kind.flows

    def hear(self, row: RunRow) -> None:
        """Take in that a run of this engine has ended."""
        if not self.idle:
            self._open.pop(row.id, None)
            self._service.background.soon(self._hear(row))

    async def _hear(self, row: RunRow) -> None:
        try:
            await self._see_to(row)
        except EngineStopped:
            raise
        except Exception as error:
            self._put_off(row, error)

    def _put_off(self, row: RunRow, error: Exception) -> None:
        """See to an end again in a while; until then the trigger does not come past it."""
        self._service.telling.warn(self.armed.name, f"the end of run {row.id} is seen to again: {error}")
        self._open[row.id] = row

    def look_soon(self) -> None:
        """Look for runs that have ended elsewhere."""
        if not self.idle and not self._looking:
            self._looking = True
            self._service.background.soon(self._look())

    async def _look(self) -> None:
        try:
            await self._step()
        except StoreError as error:
            self._service.telling.warn(self.armed.name, f"ended runs are looked for again: {error}")
        finally:
            self._looking = False

    async def _step(self) -> None:
        """Look at what is newer than the last look, and at what was live then."""
        now = self._machine.clock.now()
        since, after = self._looked_at - SLACK, self.progress.last - SLACK
        self._looks += 1
        asleep = self._looks % SELDOM == 0
        live = self._machine.runs.live
        found = [
            row
            for row in await self._machine.in_thread(functools.partial(self._newer, since))
            if row.id not in self._seen
        ]
        asked = [id for id, row in self._open.items() if id not in live and (asleep or row.owner is not None)]
        rows = await self._machine.in_thread(functools.partial(self._rows, asked))
        for id in set(asked).difference(row.id for row in rows):
            self._open.pop(id, None)  # it was deleted
        found += rows
        for row in sorted(found, key=lambda row: (row.ended_at or 0.0, row.id)):
            if row.status in LIVE:
                self._open[row.id] = row
                continue
            if (row.ended_at or 0.0) >= after and not self.idle:
                try:
                    await self._see_to(row)
                except (StoreError, EngineStopped):
                    raise
                except Exception as error:  # keeps no other end from being seen to
                    self._put_off(row, error)
                    continue
            self._open.pop(row.id, None)
        self._looked_at = now
        low = min((row.created_at for row in self._open.values()), default=now)
        if found or not self._looks % SELDOM:
            changed = low != self.progress.low and (found or low != now)
            put_off = (row.ended_at for row in self._open.values() if row.ended_at is not None)
            self.progress.last, self.progress.low = min(put_off, default=now), low
            if changed:
                self.note()

    def _newer(self, since: float) -> list[RunRow]:
        rows: list[RunRow] = []
        for flow in self._kind.flows:
            before = None
            while True:
                which = RunFilter(flow=flow, since=since, before=before, limit=PAGE)
                page = self._machine.store.runs(which)
                rows += page
                if len(page) < PAGE:
                    break
                before = page[-1].id
        return rows

    def _rows(self, ids: list[str]) -> list[RunRow]:
        return [row for id in ids if (row := self._machine.store.run(id)) is not None]

    async def _see_to(self, row: RunRow) -> None:
        """Start the run of a run that has ended, once."""
        if row.id in self._seen:
            return
        if row.status in self._kind.status:
            seen = self.armed.view("schedule", run=ended_run(row))
            fired = await self._service.fire_behind(self.armed, seen, row.id, row.id, row)
            if fired is not None:
                self.count(fired)
            if fired is None or fired.row is None:  # nothing else would tell that it was seen to
                self.progress.passed = [*self.progress.passed, row.id][-MOST_PASSED:]
            self.note()
        self._seen[row.id] = None
        if len(self._seen) > MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]


def ended_run(row: RunRow) -> dict[str, Any]:
    """Return a run that has ended as expressions see it."""
    small = row.result is not None and len(row.result) <= LARGEST_OUTPUTS
    result = shown(values.decode(row.result)) if small and row.result is not None else None
    succeeded = row.status == "succeeded"
    return {
        "id": row.id,
        "flow": row.flow,
        "status": row.status,
        "key": row.key,
        "inputs": _inputs(row),
        "outputs": result if succeeded else None,
        "error": None if succeeded else result,
        "started_at": _moment(row.started_at or row.created_at),
        "ended_at": _moment(row.ended_at or row.created_at),
    }


def _inputs(row: RunRow) -> Any:
    try:
        return shown(values.decode(row.inputs)) if len(row.inputs) <= LARGEST_OUTPUTS else None
    except FlowBuilderError:
        return None


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
