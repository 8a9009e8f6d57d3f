"""The parts of an engine, by name; each is given the others through this."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from flowbuilder.core.clock import Clock
    from flowbuilder.runtime.approvals import Approvals
    from flowbuilder.runtime.attempts import Attempts
    from flowbuilder.runtime.caches import Caches
    from flowbuilder.runtime.calls import Calls
    from flowbuilder.runtime.cancellation import Cancellation
    from flowbuilder.runtime.commands import Commands
    from flowbuilder.runtime.committer import Committer
    from flowbuilder.runtime.config import Config
    from flowbuilder.runtime.deadlines import Deadlines
    from flowbuilder.runtime.events import EventBus
    from flowbuilder.runtime.executors.placer import Placer
    from flowbuilder.runtime.failures import Failures
    from flowbuilder.runtime.forks import Forks
    from flowbuilder.runtime.groups import Groups
    from flowbuilder.runtime.hearing import Hearing
    from flowbuilder.runtime.histories import Histories
    from flowbuilder.runtime.lanes import RunLanes
    from flowbuilder.runtime.large_values import LargeValues
    from flowbuilder.runtime.limits import Limits
    from flowbuilder.runtime.loading import Loading
    from flowbuilder.runtime.loops import Loops
    from flowbuilder.runtime.maps import Maps
    from flowbuilder.runtime.observations import Observations
    from flowbuilder.runtime.pauses import Pauses
    from flowbuilder.runtime.phases import Phases
    from flowbuilder.runtime.plans import Plans
    from flowbuilder.runtime.profiles import Profiles
    from flowbuilder.runtime.recovery import Recovery
    from flowbuilder.runtime.runs import Runs
    from flowbuilder.runtime.scheduler import Scheduler
    from flowbuilder.runtime.sealing import Sealing
    from flowbuilder.runtime.services import EngineServices
    from flowbuilder.runtime.spins import Spins
    from flowbuilder.runtime.starts import Starts
    from flowbuilder.runtime.steering import Steering
    from flowbuilder.runtime.stops import Stops
    from flowbuilder.runtime.sub_flows import SubFlows
    from flowbuilder.runtime.timers import Timers
    from flowbuilder.runtime.undos import Undos
    from flowbuilder.runtime.unreadable import Unreadable
    from flowbuilder.runtime.wait_tasks import WaitTasks
    from flowbuilder.runtime.waiting import Waiting
    from flowbuilder.runtime.waits import Waits
    from flowbuilder.runtime.weighing import Weighing
    from flowbuilder.runtime.workspaces import Workspaces
    from flowbuilder.storage.api import Store

_LATER: Final = {
    "loops": "loops:Loops",
    "spins": "spins:Spins",
    "histories": "histories:Histories",
    "caches": "caches:Caches",
    "deadlines": "deadlines:Deadlines",
    "waiting": "waiting:Waiting",
    "wait_tasks": "wait_tasks:WaitTasks",
    "approvals": "approvals:Approvals",
    "undos": "undos:Undos",
    "limits": "limits:Limits",
    "lanes": "lanes:RunLanes",
    "forks": "forks:Forks",
    "unreadable": "unreadable:Unreadable",
    "workspaces": "workspaces:Workspaces",
}
"""Parts that few runs need: each is loaded and made when it is asked for first, on the loop."""


@dataclasses.dataclass(slots=True, eq=False)
class Machine:
    """What an engine is made of.  `engine.py` puts it together; nothing else makes one."""

    id: str
    """The engine's, under which it is registered with the store."""
    loop: asyncio.AbstractEventLoop
    clock: Clock
    config: Config
    store: Store
    timers: Timers
    bus: EventBus
    plans: Plans
    secrets: Mapping[str, str]
    sealing: Sealing
    services: EngineServices
    placer: Placer
    profiles: Profiles
    recovery: Recovery = dataclasses.field(init=False)
    loading: Loading = dataclasses.field(init=False)
    commands: Commands = dataclasses.field(init=False)
    runs: Runs = dataclasses.field(init=False)
    starts: Starts = dataclasses.field(init=False)
    large_values: LargeValues = dataclasses.field(init=False)
    committer: Committer = dataclasses.field(init=False)
    scheduler: Scheduler = dataclasses.field(init=False)
    attempts: Attempts = dataclasses.field(init=False)
    calls: Calls = dataclasses.field(init=False)
    stops: Stops = dataclasses.field(init=False)
    failures: Failures = dataclasses.field(init=False)
    maps: Maps = dataclasses.field(init=False)
    groups: Groups = dataclasses.field(init=False)
    loops: Loops = dataclasses.field(init=False)
    spins: Spins = dataclasses.field(init=False)
    histories: Histories = dataclasses.field(init=False)
    caches: Caches = dataclasses.field(init=False)
    deadlines: Deadlines = dataclasses.field(init=False)
    waits: Waits = dataclasses.field(init=False)
    hearing: Hearing = dataclasses.field(init=False)
    waiting: Waiting = dataclasses.field(init=False)
    wait_tasks: WaitTasks = dataclasses.field(init=False)
    approvals: Approvals = dataclasses.field(init=False)
    sub_flows: SubFlows = dataclasses.field(init=False)
    undos: Undos = dataclasses.field(init=False)
    phases: Phases = dataclasses.field(init=False)
    cancellation: Cancellation = dataclasses.field(init=False)
    lanes: RunLanes = dataclasses.field(init=False)
    limits: Limits = dataclasses.field(init=False)
    pauses: Pauses = dataclasses.field(init=False)
    steering: Steering = dataclasses.field(init=False)
    forks: Forks = dataclasses.field(init=False)
    unreadable: Unreadable = dataclasses.field(init=False)
    observations: Observations = dataclasses.field(init=False)
    workspaces: Workspaces = dataclasses.field(init=False)
    weighing: Weighing = dataclasses.field(init=False)
    takes_over: bool = False
    """It carries on whatever nobody drives, and not only what it was given."""
    stopping: bool = False
    """Nothing new starts; what runs may end."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in _LATER:
                raise AttributeError(name)
            module, _, kind = _LATER[name].partition(":")
            part = getattr(importlib.import_module(f"flowbuilder.runtime.{module}"), kind)(self)
            setattr(self, name, part)
            return part

    def made(self, name: str) -> bool:
        """Tell whether a part that is made when it is first needed has been."""
        try:
            object.__getattribute__(self, name)
        except AttributeError:
            return False
        return True

    async def in_thread(self, function: Any) -> Any:
        """Run a blocking function of the store on a thread."""
        return await self.loop.run_in_executor(None, function)
