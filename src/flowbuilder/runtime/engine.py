"""The engine: puts its parts together, starts and stops them.

Start reading at `starts.py` for how a run comes in, `scheduler.py` for how it
advances, `committer.py` for when it is on disk, `recovery.py` for how it
comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import secrets as chance
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import EngineStopped
from flowbuilder.core.ids import base32
from flowbuilder.runtime.attempts import Attempts
from flowbuilder.runtime.calls import Calls
from flowbuilder.runtime.cancellation import Cancellation
from flowbuilder.runtime.clock import SystemClock
from flowbuilder.runtime.commands import Commands
from flowbuilder.runtime.committer import Committer
from flowbuilder.runtime.config import Config
from flowbuilder.runtime.encryption import Encryption
from flowbuilder.runtime.events import EventBus
from flowbuilder.runtime.executors.placer import Placer
from flowbuilder.runtime.failures import Failures
from flowbuilder.runtime.groups import Groups
from flowbuilder.runtime.hearing import Hearing
from flowbuilder.runtime.large_values import LargeValues
from flowbuilder.runtime.loading import Loading
from flowbuilder.runtime.machine import Machine
from flowbuilder.runtime.maps import Maps
from flowbuilder.runtime.observations import Observations
from flowbuilder.runtime.own_runs import OwnRuns
from flowbuilder.runtime.pauses import Pauses
from flowbuilder.runtime.phases import Phases
from flowbuilder.runtime.plans import Plans
from flowbuilder.runtime.profiles import Profiles
from flowbuilder.runtime.recovery import Recovery
from flowbuilder.runtime.runs import Runs
from flowbuilder.runtime.scheduler import Scheduler
from flowbuilder.runtime.sealing import Sealing
from flowbuilder.runtime.services import EngineServices
from flowbuilder.runtime.starts import Starts
from flowbuilder.runtime.steering import Steering
from flowbuilder.runtime.stops import Stops
from flowbuilder.runtime.sub_flows import SubFlows
from flowbuilder.runtime.timers import Timers
from flowbuilder.runtime.upkeep import ENGINE_FACT, Upkeep
from flowbuilder.runtime.waits import Waits
from flowbuilder.runtime.weighing import Weighing
from flowbuilder.storage.api import Forget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbuilder.core.clock import Clock
    from flowbuilder.storage.api import Store

_YOUNG_ROUNDS: Final = 50
"""Rounds of the garbage collector over new objects before one over what they left, where Python's own is 10:
what a hundred thousand waiting runs hold is no garbage, and need not be walked each time."""


class EngineCore:
    """An engine over a store.

    Args:
        store: not opened yet; the engine registers with it and closes it.
        config: the settings.
        secrets: values of secrets by name.
        encryption: the keys by which sensitive values are kept; without it there are none.
        clock: the time; the machine's unless a test says otherwise.
        recover: take over runs whose engine is dead, and wake those that are due.
            An engine that only drives the runs it is given does not.
        profile: of the project, for what names none.
    """

    def __init__(
        self,
        store: Store,
        config: Config | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        encryption: Encryption | None = None,
        clock: Clock | None = None,
        recover: bool = True,
        profile: str | None = None,
    ) -> None:
        self._store = store
        self._profile = profile
        self._config = config or Config()
        self._secrets = {} if secrets is None else secrets  # one without names now may have some later
        self._encryption = encryption or Encryption(None, {})
        self._clock = clock or SystemClock()
        self._recover = recover
        self._serving: list[asyncio.Task[Any]] = []
        self._closed = False
        self._gc_threshold: tuple[int, int, int] | None = None
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The parts of the engine, once it has been opened.

        Raises:
            EngineStopped: it has not been.
        """
        if self._machine is None:
            raise EngineStopped("the engine is not open: use `async with Engine(…) as engine`")
        return self._machine

    @property
    def closed(self) -> bool:
        """Whether the engine has been closed: it hears of no run any more."""
        return self._closed

    async def open(self) -> None:
        """Open the store, take over what is to be carried on, and be ready for runs.

        Raises:
            StoreError: the store cannot be opened; nothing is left behind.
        """
        loop = asyncio.get_running_loop()
        unique = chance.randbits(60)
        id = base32(unique, 12)
        await loop.run_in_executor(None, functools.partial(self._store.open, id))
        self._machine = machine = self._assemble(loop, id, unique)

        def on_ring() -> None:
            machine.commands.wake()
            machine.hearing.wake()

        self._store.on_command(lambda: _hand_to(loop, on_ring))
        self._serving.append(loop.create_task(machine.timers.run()))
        self._calm_collector()
        machine.takes_over = self._recover
        if not self._recover:
            machine.recovery.own = OwnRuns()
            return
        upkeep = Upkeep(machine)
        try:
            await upkeep.at_start()
        except BaseException:
            await self.close()  # or what it has taken over would be its own for as long as the process lives
            raise
        self._serving.append(loop.create_task(upkeep.run()))

    def _calm_collector(self) -> None:
        """Let the garbage collector look less often; what it was set to comes back at the end."""
        objects = self._config.engine.gc_objects
        before = gc.get_threshold()
        if before[0] and objects > before[0]:
            self._gc_threshold = before
            gc.set_threshold(objects, _YOUNG_ROUNDS, *before[2:])

    def _assemble(self, loop: asyncio.AbstractEventLoop, id: str, unique: int) -> Machine:
        config = self._config
        profiles = Profiles(self._secrets, chosen=self._profile)
        sealing = Sealing(self._encryption, self._store.blobs)
        services = EngineServices(self._clock, config, self._store, profiles, sealing)
        machine = Machine(
            id=id,
            loop=loop,
            clock=self._clock,
            config=config,
            store=self._store,
            timers=Timers(self._clock),
            bus=EventBus(),
            plans=Plans(config.limits.for_compiler(), config.limits.expression_steps),
            secrets=self._secrets,
            sealing=sealing,
            services=services,
            placer=Placer(services, config),
            profiles=profiles,
        )
        machine.scheduler = Scheduler(machine)
        machine.calls = Calls(machine)
        machine.stops = Stops(machine)
        machine.attempts = Attempts(machine)
        machine.failures = Failures(machine)
        machine.recovery = Recovery(machine)
        machine.loading = Loading(machine)
        machine.commands = Commands(machine)
        machine.runs = Runs(machine)
        machine.starts = Starts(machine, unique)
        machine.large_values = LargeValues(machine)
        machine.committer = Committer(machine, machine.recovery.lost)
        machine.maps = Maps(machine)
        machine.groups = Groups(machine)
        machine.waits = Waits(machine)
        machine.hearing = Hearing(machine)
        machine.sub_flows = SubFlows(machine)
        machine.phases = Phases(machine)
        machine.cancellation = Cancellation(machine)
        machine.pauses = Pauses(machine)
        machine.steering = Steering(machine)
        machine.observations = Observations(machine)
        machine.weighing = Weighing(machine)
        return machine

    def only_waits(self) -> bool:
        """Tell whether nothing happens until some moment comes: every run is parked or on disk."""
        machine = self.machine
        if machine.committer.outstanding or machine.recovery.busy:
            return False
        return all(
            (run.executions or (run.undo is not None and run.undo.waits))
            and run.parked == len(run.executions)
            and not (run.dirty or run.busy or run.ready)
            for run in machine.runs.live.values()
        )

    async def stop(self, grace: float = 0.0) -> None:
        """Start nothing more, and let what runs end within `grace` seconds.

        What has not ended by then is left in the store for the next engine,
        which executes again what was in flight.
        """
        machine = self.machine
        machine.stopping = True
        machine.runs.admission.close()
        handles = [
            execution.handle
            for run in machine.runs.live.values()
            for execution in run.executions
            if isinstance(execution.handle, asyncio.Task)
        ]
        if handles and grace > 0:
            waiting = asyncio.ensure_future(self._clock.sleep(grace))
            ended = asyncio.ensure_future(asyncio.wait(handles))
            await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
            for future in (waiting, ended):
                future.cancel()
        await self.close()

    async def close(self) -> None:
        """Give up all runs, which the next engine finds in the store, and close the store."""
        if self._closed:
            return
        self._closed = True
        machine = self.machine
        machine.stopping = True
        machine.runs.admission.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if machine.made("lanes"):
            machine.lanes.close()
        if machine.made("limits"):
            await machine.limits.close()
        await machine.recovery.close()
        try:
            machine.observations.hand_over()
            machine.committer.flush_all()
            if machine.takes_over:
                self._store.submit(Forget(ENGINE_FACT, machine.id))
        finally:  # whatever becomes of the store, nothing that runs is left behind
            await self._end_executors()
        await machine.in_thread(self._store.close)
        # what was on its way to callers when the store was closed arrives before they are let go
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        machine.runs.give_up_all(EngineStopped())

    async def _end_executors(self) -> None:
        """Let go of all runs, and end what runs for them."""
        machine = self.machine
        handles = [h for run in list(machine.runs.live.values()) for h in _give_up(machine, run)]
        if handles:
            await asyncio.gather(*handles, return_exceptions=True)
        await machine.placer.close()
        await machine.services.close()
        if machine.made("workspaces"):
            machine.workspaces.close()
        if self._gc_threshold is not None:
            gc.set_threshold(*self._gc_threshold)


def _hand_to(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """Have something done on the loop; one that is closed has nothing to do any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(action)


def _give_up(machine: Machine, run: Any) -> list[asyncio.Task[Any]]:
    """Let go of a run, and return what must still end."""
    if run.ended:
        return []
    handles = [execution.handle for execution in run.executions if isinstance(execution.handle, asyncio.Task)]
    machine.runs.drop(run)
    machine.runs.live[run.id] = run
    return handles
