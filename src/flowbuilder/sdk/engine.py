"""The engine as programs use it: a thin face of `runtime.engine`."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from flowbuilder.core.errors import EngineStopped, NotFound, StoreError
from flowbuilder.core.plan import FlowPlan
from flowbuilder.runtime.encryption import Encryption
from flowbuilder.runtime.engine import EngineCore
from flowbuilder.runtime.plans import file_of, folder_of
from flowbuilder.runtime.project import find_project, key_file, secrets_path
from flowbuilder.runtime.secrets import Secrets
from flowbuilder.runtime.settings import read_settings
from flowbuilder.runtime.start import PLAIN, Start
from flowbuilder.runtime.views import RunView, view
from flowbuilder.sdk.events import (
    decide,
    find_events,
    make_event,
    open_approval,
    open_approvals,
    send_signal,
)
from flowbuilder.sdk.load import LoadedFlow, load
from flowbuilder.sdk.reader import find_row, left_behind
from flowbuilder.sdk.run import Run
from flowbuilder.storage.api import LIVE, RunFilter, RunRow
from flowbuilder.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowbuilder.core.approvals import OpenApproval
    from flowbuilder.core.clock import Clock
    from flowbuilder.runtime.config import Config
    from flowbuilder.sdk.load import Loadable
    from flowbuilder.storage.api import Log, Store
    from flowbuilder.storage.events import Event as StoredEvent
    from flowbuilder.triggers.happenings import Happening
    from flowbuilder.triggers.project import Project

LOOK_AGAIN = 0.2
LOOK_SELDOM = 2.0
"""Seconds between two looks at a run that is not in memory: at first, and when it takes long."""


class Engine:
    """Runs flows over a store: `async with Engine("file.db") as engine`.

    Args:
        path: the store's file; made where there is none.
        config: the settings; those of the project around the file otherwise.
        recover: take over runs whose engine is dead.  An engine that is to
            drive only what it is given does not.
        clock: the time; for tests.
        store: a store to use in place of the file's; for tests.
        secrets: values by name, in place of the environment's and the project's.
        profile: of the project, for all runs that name none.
    """

    def __init__(
        self,
        path: str | Path,
        config: Config | None = None,
        *,
        recover: bool = True,
        clock: Clock | None = None,
        store: Store | None = None,
        secrets: Mapping[str, str] | None = None,
        profile: str | None = None,
    ) -> None:
        self._path = path
        self._profile = profile
        self._projects: list[Project] = []
        project = find_project(Path(path).parent if path != ":memory:" else Path.cwd())
        if config is None:
            config = read_settings(project, os.environ).config
        self._store = make_store(path, config.limits.log_bytes) if store is None else store
        self.core = EngineCore(
            self._store,
            config,
            secrets=Secrets(secrets_path(project, config), project=project) if secrets is None else secrets,
            encryption=Encryption(
                key_file(project, config), os.environ, lost_anyway=store is None and path == ":memory:"
            ),
            clock=clock,
            recover=recover,
            profile=profile,
        )

    @classmethod
    def in_memory(cls, config: Config | None = None, *, clock: Clock | None = None) -> Engine:
        """Return an engine whose store is lost with it: for tests, and for what need not be kept."""
        return cls(":memory:", config, clock=clock)

    async def __aenter__(self) -> Self:
        await self.core.open()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._close_projects()
        await self.core.close()

    async def stop(self, grace: float = 10.0) -> None:
        """Start nothing more, and leave what has not ended in `grace` seconds to the next engine."""
        for project in self._projects:
            await project.hold()
        await self.core.stop(grace)
        await self._close_projects()

    @property
    def projects(self) -> tuple[Project, ...]:
        """The projects that are up."""
        return tuple(self._projects)

    async def _close_projects(self) -> None:
        """Fire no trigger more."""
        projects, self._projects = self._projects, []
        for project in projects:
            await project.close()

    async def start(
        self,
        flow: LoadedFlow | FlowPlan | Loadable | str | Path,
        inputs: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        profile: str | None = None,
    ) -> Run:
        """Start a run; once this returns, the run is on disk and will not be lost.

        Args:
            flow: a flow that was loaded, the path of its file, or a function with `@flow`.
            inputs: values by name.
            key: makes the start idempotent within the flow's name: the same
                key gives the same run, carried on if unfinished.
            priority: 0 to 100, more first; the flow's own otherwise.
            labels: added to those of the flow.
            profile: which of the project's profiles gives `config` and `connections`.

        Raises:
            FlowError: the file is wrong.
            InputError: the inputs break their schemas; names every violation.
            KeyConflict: the key's run has other inputs.
            StoreError: the run was not accepted.
        """
        plan = _plan_of(flow)
        how = PLAIN
        if key is not None or priority is not None or labels is not None:
            how = Start(key=key, priority=priority, labels=labels)
        if (profile := profile or self._profile) is not None:
            how = msgspec.structs.replace(how, about={**(how.about or {}), "profile": profile})
        row = await self.core.machine.starts.start(plan, inputs or {}, how)
        return Run(self, row)

    async def up(
        self,
        folder: str | Path,
        *,
        watch: bool = True,
        on: Callable[[Happening], None] | None = None,
    ) -> Project:
        """Put the flows of a folder and their triggers in force, until the project is closed.

        Args:
            folder: where the flows lie; or one flow's file.
            watch: read flows again by itself when files change; else `Project.reload` does.
            on: is told what happens.

        Raises:
            NotFound: there is no such folder.
        """
        # start-up time: most programs run flows themselves
        from flowbuilder.sdk.pyflows.files import PythonFiles
        from flowbuilder.triggers.project import bring_up

        project = await bring_up(
            self.core.machine, Path(folder), watch=watch, on=on, languages=(PythonFiles(),)
        )
        self._projects.append(project)
        return project

    async def get(self, run_id: str) -> Run:
        """Return a run by its id, or by a prefix of it that no other run has.

        Raises:
            NotFound: there is no such run.
        """
        return Run(self, await self.row(run_id))

    async def row(self, run_id: str) -> RunRow:
        """Return what is known of a run without its tasks."""
        await self.core.machine.committer.kept()
        find = functools.partial(find_row, self._store, run_id)
        return await self.core.machine.in_thread(find)  # type: ignore[no-any-return]

    async def show(self, run_id: str) -> RunView:
        """Return a run with its tasks as people see it."""
        machine = self.core.machine
        machine.committer.flush_all()
        row = await self.row(run_id)
        live = machine.runs.live.get(row.id)

        def read() -> RunView:
            definition = self._store.flow(row.flow_hash)
            plan = live.plan if live is not None else None
            if plan is None:
                plan = machine.plans.to_look_at(row.flow_hash, definition)
            return view(self._store, row, plan, live)

        return await machine.in_thread(read)  # type: ignore[no-any-return]

    async def runs(self, which: RunFilter | None = None) -> list[RunRow]:
        """List runs, newest first."""
        listing = functools.partial(self._store.runs, which or RunFilter())
        return await self.core.machine.in_thread(listing)  # type: ignore[no-any-return]

    async def resume(self, run_ids: Sequence[str] | None = None, *, profile: str | None = None) -> list[Run]:
        """Carry on runs that no living engine sees to: those named, else all; returns them.

        Those that sleep in the store are woken by this engine when their moment comes.  One that
        is paused goes on if it is named.  With a `profile` as for `adopt`.
        """
        recovery = self.core.machine.recovery
        if run_ids is None:
            asleep = functools.partial(left_behind, self._store, self.core.machine.id)
            sleeping = await self.core.machine.in_thread(asleep)
            if profile is not None:
                await self._change_profile([row.id for row in sleeping], profile)
            if recovery.own is not None:
                for row in sleeping:
                    recovery.own.add(row.id, row.wake_at)
            taken = await recovery.take_over()
            known = set(taken)
            asleep_or_queued = ("waiting", "queued")
            taken += [row.id for row in sleeping if row.id not in known and row.status in asleep_or_queued]
        else:
            if profile is not None:
                await self._change_profile([(await self.row(name)).id for name in run_ids], profile)
            taken = [id for name in run_ids if (id := await self._resume(name)) is not None]
        return [Run(self, await self.row(id)) for id in taken]

    # -- events and approvals ----------------------------------------------------

    async def emit(
        self, name: str, payload: Any = None, *, id: str | None = None, source: str = "program"
    ) -> str:
        """Emit an event; once this returns its id, it is on disk and nobody who waits for it misses it.

        Args:
            name: dotted words.
            payload: any value.
            id: makes emitting it twice emit it once.
            source: who emits it, for people.

        Raises:
            InputError: the name is none, or the payload cannot be kept.
        """
        return await self._emit(name, payload, id, source, None)

    async def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        id: str | None = None,
        source: str = "program",
        anyway: bool = False,
    ) -> str:
        """Send a signal to one run, wherever it is; it is kept for the run until a `wait` takes it.

        Args:
            run_id: the run.
            name: of the signal.
            payload: any value.
            id: makes sending it twice send it once.
            source: who sends it, for people.
            anyway: also where nothing in the run's flow waits for such a signal.

        Raises:
            NotFound: there is no such run, or nothing in its flow waits for such a signal.
            RunEnded: it has ended.
            InputError: the name is none, or the payload cannot be kept.
        """
        row = await self.row(run_id)
        return await self._emit(name, payload, id, source, row.id, anyway=anyway)

    async def _emit(
        self,
        name: str,
        payload: Any,
        id: str | None,
        source: str,
        run_id: str | None,
        *,
        anyway: bool = False,
    ) -> str:
        machine = self.core.machine
        event = make_event(
            name,
            payload,
            id=id,
            at=machine.clock.now(),
            source=source,
            run_id=run_id,
            most_bytes=machine.config.events.payload_bytes,
        )
        if run_id is None:
            await machine.services.publish(event)
        else:  # it is refused where there is no such run, or it has ended
            machine.committer.flush_all()
            send = functools.partial(send_signal, self._store, machine.plans, machine.sealing, event)
            await machine.in_thread(functools.partial(send, anyway=anyway))
        machine.hearing.wake()
        return event.id

    async def events(
        self, *names: str, since: float | None = None, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """List events of these names, or all, oldest first; with a `limit` the newest of them."""
        find = functools.partial(find_events, self._store, names=names, since=since, after=after, limit=limit)
        return await self.core.machine.in_thread(find)  # type: ignore[no-any-return]

    async def approvals(self, run_id: str | None = None) -> list[OpenApproval]:
        """List what is to be decided, oldest first; of one run, or of all."""
        self.core.machine.committer.flush_all()
        id = None if run_id is None else (await self.row(run_id)).id
        return await self.core.machine.in_thread(functools.partial(open_approvals, self._store, id))  # type: ignore[no-any-return]

    async def approve(
        self, run_id: str, by: str, form: Mapping[str, Any] | None = None, *, task: str | None = None
    ) -> None:
        """Approve what a run asks for; `task` may be left out where it asks for one thing.

        Raises:
            NotFound: nothing is to be decided.
            InputError: with all that is wrong with the form.
            Conflict: it is not theirs to decide, or is decided already.
            RunEnded: the run has ended.
        """
        await self._decide(run_id, task, by, approve=True, form=form)

    async def reject(self, run_id: str, by: str, reason: str = "", *, task: str | None = None) -> None:
        """Reject it; raises as `approve` does."""
        await self._decide(run_id, task, by, approve=False, reason=reason)

    async def _decide(self, run_id: str, task: str | None, by: str, **what: Any) -> None:
        machine = self.core.machine
        machine.committer.flush_all()
        row = await self.row(run_id)

        def leave_voice() -> None:
            found = open_approval(self._store, row, task)
            decide(self._store, found, by, at=machine.clock.now(), sealing=machine.sealing, **what)

        await machine.in_thread(leave_voice)
        machine.hearing.wake()

    async def adopt(self, run_ids: Sequence[str], *, profile: str | None = None) -> list[Run]:
        """Carry on those of many runs that no living engine drives, and return them; all at once.

        Args:
            run_ids: whole ids.
            profile: gives their connections from now on; the values of their `config` stay what they were.

        Raises:
            ProfileError: the profile lacks something; nothing is carried on.
        """
        machine = self.core.machine
        if profile is not None:
            await self._change_profile(run_ids, profile)

        async def carry_on() -> list[RunRow]:
            claim = functools.partial(self._store.steering().claim, list(run_ids))
            rows: list[RunRow] = await machine.in_thread(claim)
            await machine.loading.carry_on(rows)
            return rows

        rows = await machine.recovery.to_the_end(carry_on())
        await machine.commands.receive()
        return [Run(self, row) for row in rows]

    async def _change_profile(self, run_ids: Sequence[str], profile: str) -> None:
        from flowbuilder.sdk.profile_change import change_profile  # start-up time: seldom asked for

        await change_profile(self.core.machine, run_ids, profile)

    async def _resume(self, name: str) -> str | None:
        """Carry on one run; its id if it is this engine's now."""
        machine = self.core.machine
        row = await self.row(name)
        if row.status == "paused":
            await machine.steering.resume(row.id)
        adopted = await machine.recovery.adopt_if_free(row.id)
        await machine.commands.receive()  # what was left for an engine that has died since
        return row.id if adopted else None

    async def rerun(
        self,
        run_id: str,
        *,
        failed: bool = False,
        from_tasks: Sequence[str] = (),
        flow: LoadedFlow | FlowPlan | Loadable | str | Path | None = None,
        latest: bool = False,
        key: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        profile: str | None = None,
    ) -> Run:
        """Start a run with the same inputs, and the version of the flow that the run had.

        Args:
            run_id: the run to do again.
            failed: only what failed or was not reached, and what follows it; all else is taken over.
            from_tasks: only these tasks, and what follows them (and what failed).
            flow: another version of it.
            latest: the version that is in the flow's file now.
            key: as for `start`.
            priority: that of the run otherwise.
            labels: added to those of the run.
            profile: that of the run otherwise, with the values that its `config` had.

        Raises:
            NotFound: there is no such run or task, or its flow's file is gone.
            CannotTakeOver: nothing of the run failed; or as for `fork`.
        """
        from flowbuilder.runtime.forks import Edits  # start-up time: few runs begin where others have come to

        row = await self.row(run_id)
        plan = self._latest(row) if latest else None if flow is None else _plan_of(flow)
        how = Start(key=key, priority=priority, labels=labels, about=_about(profile))
        forks = self.core.machine.forks
        if failed or from_tasks:
            edits = Edits(flow=plan)
            started = await forks.fork(
                row, from_tasks, edits, how, link="rerun_of", only_failed=failed and not from_tasks
            )
        else:
            started = await forks.rerun(row, plan, how)
        return Run(self, started)

    async def fork(
        self,
        run_id: str,
        *,
        from_tasks: Sequence[str] = (),
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        flow: LoadedFlow | FlowPlan | Loadable | str | Path | None = None,
        key: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        profile: str | None = None,
    ) -> Run:
        """Start a run that takes over the recorded outputs of what need not be done again.

        Done again are the tasks that are named, what has not ended well, and all that follows these.
        Without `from_tasks`: what reads the edited outputs; with edited inputs alone, everything.

        Args:
            run_id: the run to begin from; it may still be going on.
            from_tasks: paths, such as `build.compile`, or `enrich[3]` for one element.
            inputs: new values, by name or path (`order.total`).
            outputs: new values, by task and path (`fetch.output.total`): such a task is not done again.
            flow: an edited version of the flow; whatever is taken over must have its place there.
            key: as for `start`.
            priority: that of the run otherwise.
            labels: added to those of the run.
            profile: that of the run otherwise, with the values that its `config` had.

        Raises:
            NotFound: there is no such run or task.
            CannotTakeOver: what is asked for makes no sense, or the edited flow does not fit; says why.
            InputError: the edited inputs break their schemas.
        """
        from flowbuilder.runtime.forks import Edits  # start-up time: few runs begin where others have come to

        row = await self.row(run_id)
        how = Start(key=key, priority=priority, labels=labels, about=_about(profile))
        edits = Edits(inputs or {}, outputs or {}, None if flow is None else _plan_of(flow))
        if inputs and not (from_tasks or outputs or flow):
            started = await self.core.machine.forks.anew(row, edits, how)
        else:
            started = await self.core.machine.forks.fork(row, from_tasks, edits, how)
        return Run(self, started)

    def _latest(self, row: RunRow) -> FlowPlan:
        """Return the version of a run's flow that is in its file now."""
        definition = self._store.flow(row.flow_hash)
        if definition is None:
            raise NotFound("flow", row.flow, "its version is not in the store")
        return load(folder_of(row, definition) / file_of(definition).name).plan

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete ended runs with all that belongs to them; returns how many there were."""
        delete = functools.partial(self._store.delete_runs, list(run_ids))
        return await self.core.machine.in_thread(delete)  # type: ignore[no-any-return]

    async def logs(self, run_id: str, task: str | None = None, after: int = 0) -> list[tuple[int, Log]]:
        """Return what tasks of a run wrote, in order, each line with its number."""
        read = functools.partial(self._store.logs, run_id, task, after)
        return await self.core.machine.in_thread(read)  # type: ignore[no-any-return]

    async def watch_elsewhere(self, run_id: str, ended: asyncio.Future[RunRow]) -> RunRow:
        """Wait for the end of a run that is in the store, or in another engine; returns its row then.

        Raises:
            EngineStopped: the engine was closed meanwhile.
            EncryptionKeyMissing, EncryptionKeyUnusable: this engine has taken it over, and cannot read it.
        """
        delay = LOOK_AGAIN
        refused = self.core.machine.loading.refused
        while not ended.done():
            try:
                row = await self.row(run_id)
            except StoreError:
                if self.core.closed:
                    raise EngineStopped(
                        f"the engine is closed; another one carries run {run_id} on"
                    ) from None
                raise
            if row.status not in LIVE:
                return row
            if run_id in refused and row.owner == self.core.machine.id:
                raise refused[run_id]
            # in real time, whatever the engine's clock says: other processes go by no other
            await asyncio.wait((ended,), timeout=delay)
            delay = min(delay * 1.2, LOOK_SELDOM)
        return ended.result()


def _about(profile: str | None) -> dict[str, Any] | None:
    """Return what a start says of a profile that is named."""
    return None if profile is None else {"profile": profile}


def _plan_of(flow: LoadedFlow | FlowPlan | Loadable | str | Path) -> FlowPlan:
    if isinstance(flow, LoadedFlow):
        return flow.plan
    return flow if isinstance(flow, FlowPlan) else load(flow).plan
