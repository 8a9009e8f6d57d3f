"""A project that is up: its flows in force, their triggers armed, until it is closed.  Start reading here."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import FlowBuilderError, NotFound, ProfileError
from flowbuilder.plugins.registry import of_project
from flowbuilder.triggers.chains import MOST, loops_among
from flowbuilder.triggers.flow_files import Broken, Language, Loaded, is_skipped
from flowbuilder.triggers.folder import Folder
from flowbuilder.triggers.happenings import Happening, What
from flowbuilder.triggers.service import Triggers
from flowbuilder.triggers.watching import watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.plugins.folder import ProjectPlugins
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow

_log = logging.getLogger("flowbuilder.triggers")

Listener = Callable[[Happening], None]
_HELD: Final = 0.01
"""Seconds after which it is looked again whether what was fired was told of."""
_MOST_HELD: Final = 1000
_TURN: Final = 0.005
"""Seconds for which flows are put in force before runs have their turn."""
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


async def _give_way(turn: float) -> float:
    """Let runs have their turn, where ours has lasted for a while; returns when ours began."""
    if time.monotonic() - turn < _TURN:
        return turn
    await asyncio.sleep(0)
    return time.monotonic()


def _is_plugin(path: Path) -> bool:
    """Tell whether a change of a file in the folder of plug-ins matters."""
    return path.suffix in (".py", "") and "__pycache__" not in path.parts


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class Project:
    """The flows of a folder and their triggers, driven by an engine.

    Made by `Engine.up`.  Flows are read again when their files change: runs in
    flight keep their version, and a broken edit keeps the last good one.  So
    are the plug-ins of the project, on a thread.

    Args:
        machine: the engine's parts.
        folder: where the flows lie; or one flow's file.
        watch: read flows again by itself when files change.
        on: is told what happens.
        languages: what reads flows besides YAML and JSON.
    """

    def __init__(
        self,
        machine: Machine,
        folder: Path,
        *,
        watch: bool = True,
        on: Listener | None = None,
        languages: Sequence[Language] = (),
    ) -> None:
        self._machine = machine
        self._folder = Folder(folder, machine.plans, languages)
        self._watch = watch
        self._listeners: tuple[Listener, ...] = () if on is None else (on,)
        self._lock = asyncio.Lock()
        self._plugins: ProjectPlugins | None = None
        self._plugins_version = 0
        self._loops: set[tuple[str, ...]] = set()
        self._watching: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[Any] | None = None
        self._look_again = False
        self._held: dict[str, Happening] = {}
        """Ends of runs of which it is still to be told that they were started, by run."""
        self._fired: set[str] = set()
        """Runs of which it was told that they were started, until they end."""
        self.triggers = Triggers(machine, self._tell, watches=watch)

    async def open(self) -> None:
        """Read all flows, and put their triggers in force.

        Raises:
            NotFound: there is no such folder.
        """
        await self.triggers.open()
        self._machine.runs.listeners = (*self._machine.runs.listeners, self._on_end)
        root = self._folder.root
        folder = root.parent if root.is_file() else root
        self._plugins = await self._machine.in_thread(functools.partial(of_project, folder))
        self._plugins.watched(begin=True)
        await self.reload()
        await self.triggers.begun()
        await self.triggers.keeper.written()  # from here on a crash does not make a trigger new once more
        await self.triggers.asking.look()
        self._say(
            "ready",
            message=f"{_counted(len(self.flows), 'flow')}, {_counted(len(self.triggers.armed), 'trigger')}",
        )
        if self._watch:
            begin = self._machine.loop.create_task
            self._watching = [
                begin(watch(folder, self._matters, self._changed)),
                begin(watch(self._plugins.folder, _is_plugin, self._changed)),
            ]

    async def close(self) -> None:
        """Fire nothing more, and tell of nothing more.  Runs go on: they are the engine's."""
        await self.hold()
        runs = self._machine.runs
        runs.listeners = tuple(one for one in runs.listeners if one != self._on_end)

    async def hold(self) -> None:
        """Fire nothing more; of runs that end it is still told."""
        tasks = [task for task in (*self._watching, self._looking) if task is not None]
        if self._plugins is not None:
            self._plugins.watched(begin=False)
            self._plugins = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.triggers.close()

    async def __aenter__(self) -> Project:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    @property
    def flows(self) -> Mapping[str, FlowPlan]:
        """The flows that are in force, by name."""
        return {name: loaded.plan for name, loaded in sorted(self._folder.flows.items())}

    @property
    def broken(self) -> Mapping[str, str]:
        """What is wrong with files that were left out, by path."""
        return {self._folder.shown(path): broken.message for path, broken in self._folder.broken.items()}

    @property
    def busy(self) -> bool:
        """Whether something is due, or is being started."""
        return self.triggers.background.busy

    async def settled(self) -> None:
        """Return when all that is due by now has been started."""
        await self.triggers.background.settled()

    def listen(self, on: Listener) -> None:
        """Have somebody else told what happens from now on."""
        self._listeners = (*self._listeners, on)

    # -- by hand ---------------------------------------------------------------------

    async def trigger(self, name: str, *, by: str = "hand") -> str:
        """Start a run of a trigger now, whatever its schedule and its `if` say; returns the run's id.

        Raises:
            NotFound: there is no trigger of this name.
        """
        armed = self.triggers.armed.get(name)
        if armed is None:
            raise NotFound("trigger", name, ", ".join(list(self.triggers.armed)[:5]))
        now = self._machine.clock.now()
        fired = await self.triggers.asking.fire_now(armed, self._machine.starts.new_id(now), by)
        assert fired.row is not None
        return fired.row.id

    # -- reading flows again ------------------------------------------------------------

    def _matters(self, path: Path) -> bool:
        root = self._folder.root
        if root.is_file():
            return path.suffix == root.suffix
        inside = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
        if any(is_skipped(part) for part in inside[:-1]):
            return False
        # a change of a folder may be all that is told of many files
        return self._folder.is_candidate(path.name) or (not path.suffix and not is_skipped(path.name))

    def _changed(self) -> None:
        """Look at the folder soon; once more if something has changed while we look."""
        if self._looking is not None and not self._looking.done():
            self._look_again = True
            return
        self._looking = self._machine.loop.create_task(self._look())

    async def _look(self) -> None:
        while True:
            self._look_again = False
            try:
                await self.reload()
            except FlowBuilderError as error:
                self._say("warning", message=str(error))
            if not self._look_again:
                return

    async def reload(self) -> None:
        """Read the folder again, and put what has changed in force.

        Raises:
            NotFound: the folder is gone; everything stays as it is.
        """
        async with self._lock:
            anew = await self._look_at_plugins()
            known = set(self._folder.flows)
            look = functools.partial(self._folder.look, all_anew=anew)
            changes = await self._machine.in_thread(look)
            for name in changes.removed:
                self.triggers.disarm(name)
                self._say("removed", name)
            turn = time.monotonic()
            for loaded in changes.loaded:
                self._put_in_force(loaded, new=loaded.plan.name not in known)
                turn = await _give_way(turn)
            for loaded in changes.renewed:
                self.triggers.arm(loaded.plan, str(loaded.path))
                turn = await _give_way(turn)
                if loaded.path != loaded.file and not anew:
                    self._say("reloaded", loaded.plan.name, message=self._folder.shown(loaded.path))
            for broken in changes.broken:
                self._report(broken)
            for path in changes.mended:
                if not any(loaded.path == path for loaded in changes.loaded):
                    name = next((n for n, one in self._folder.flows.items() if one.path == path), None)
                    self._say("reloaded", name, message=f"{self._folder.shown(path)} is as it was before")
        self._tell_of_loops()
        if not self._watch:
            self.triggers.look_for_files()

    def _tell_of_loops(self) -> None:
        """Tell of flows that start each other without end, once; what they start is bounded (`chains`)."""
        loops = set(loops_among(self.triggers.armed.values()))
        for loop in sorted(loops - self._loops):
            what = " → ".join((*loop, loop[0]))
            self._say(
                "warning",
                message=f"{what}: they start each other whenever they end, and are ended after {MOST} runs in a row; "
                "give one of their triggers an `if`",
            )
        self._loops = loops

    async def _look_at_plugins(self) -> bool:
        """Have the project's plug-ins loaded that have changed; whether flows are to be made anew with them."""
        if self._plugins is None:
            return False
        for news in await self._machine.in_thread(self._plugins.look):
            if news.why:
                self._say("broken", message=news.message, error=news.why, plugin=news.origin)
            else:
                self._say("plugin", message=news.message, plugin=news.origin, names=list(news.names))
        before, self._plugins_version = self._plugins_version, self._plugins.version
        return before != self._plugins_version

    def _put_in_force(self, loaded: Loaded, *, new: bool) -> None:
        plan = loaded.plan
        self.triggers.arm(plan, str(loaded.path))
        self._say(
            "loaded" if new else "reloaded",
            plan.name,
            message=self._folder.shown(loaded.path),
            triggers=[trigger.name for trigger in plan.triggers],
            version=plan.content_hash[:12],
            warnings=[f"{found.at}: {found.code} {found.what}" for found in loaded.warnings],
        )

        self._check_profile(plan)

    def _check_profile(self, plan: FlowPlan) -> None:
        """Tell at once what the profile lacks: else one would learn of it at night."""
        if plan.profiled:
            try:
                lacking = self._machine.profiles.lacking(plan)
            except ProfileError as error:
                lacking = list(error.problems)
            for where, what, hint in lacking:
                self._say("warning", plan.name, message=f"{where}: {what}" + (f"; {hint}" if hint else ""))

    def _report(self, broken: Broken) -> None:
        kept = [name for name, one in self._folder.flows.items() if broken.path in (one.path, one.file)]
        head = self._folder.shown(broken.path)
        why = "keeps its last good version" if kept else "is left out"
        flow = kept[0] if len(kept) == 1 else None
        self._say("broken", flow, message=f"{head} {why}", error=broken.message)

    # -- telling ----------------------------------------------------------------------------

    def _on_end(self, row: RunRow) -> None:
        self.triggers.run_ended(row)
        if row.status not in _ENDED:
            return
        at = row.ended_at or self._machine.clock.now()
        data = {"started_at": row.started_at or row.created_at, "result": row.result}
        ended = Happening("ended", at, flow=row.flow, run=row.id, status=row.status, data=data)
        if row.id in self._fired:
            self._fired.discard(row.id)
            self._tell(ended)
        elif self.triggers.firing:  # a short run has ended before it is told that it was started
            self._held[row.id] = ended
            self._machine.loop.call_soon(self._let_go)
        else:
            self._tell(ended)

    def _let_go(self) -> None:
        """Tell of the runs that have ended, now that it was told that they were started."""
        if self.triggers.firing and len(self._held) < _MOST_HELD:
            if self._held:
                self._machine.loop.call_later(_HELD, self._let_go)
            return
        held, self._held = self._held, {}
        for ended in held.values():
            self._tell(ended)

    def _say(self, what: What, flow: str | None = None, *, message: str = "", **data: Any) -> None:
        self._tell(Happening(what, self._machine.clock.now(), flow=flow, message=message, data=data))

    def _tell(self, happening: Happening) -> None:
        if happening.what == "fired" and happening.run is not None:
            self._fired.add(happening.run)
        self._hand_on(happening)
        if happening.run in self._held and happening.what != "ended":
            self._fired.discard(happening.run)
            self._hand_on(self._held.pop(happening.run))

    def _hand_on(self, happening: Happening) -> None:
        for listener in self._listeners:
            try:
                listener(happening)
            except Exception:  # whoever watches must not keep triggers from firing
                _log.exception("a listener failed")


async def bring_up(
    machine: Machine,
    folder: Path,
    *,
    watch: bool = True,
    on: Listener | None = None,
    languages: Sequence[Language] = (),
) -> Project:
    """Return a project that is up.

    Raises:
        NotFound: there is no such folder.
    """
    project = Project(machine, folder, watch=watch, on=on, languages=languages)
    try:
        await project.open()
    except BaseException:
        await project.close()
        raise
    return project
