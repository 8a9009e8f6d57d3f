"""The triggers of a project as people look at them, and what they ask of them; an `up` need not run.

What is in force lies in the flows' files; how far it has come, and whether it
is paused, in the store.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import NotFound
from flowbuilder.core.ids import base32
from flowbuilder.runtime.plans import Plans
from flowbuilder.sdk.pyflows.files import PythonFiles
from flowbuilder.storage.factory import make_store
from flowbuilder.triggers.armed import Armed
from flowbuilder.triggers.flow_files import file_of
from flowbuilder.triggers.folder import Folder
from flowbuilder.triggers.moments import Moment, upcoming
from flowbuilder.triggers.occasions import calendar_of
from flowbuilder.triggers.state import ASK, PAUSE, SCHEDULE, Ask, Pause, Progress, all_of, fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.limits import Limits
    from flowbuilder.storage.api import Fact, Store

LOOK_AGAIN: Final = 0.05
"""Seconds between two looks whether an engine has taken what it was asked for."""


class Schedule(msgspec.Struct):
    """One trigger, and how it stands."""

    name: str
    """Its full name, `flow/trigger`."""
    armed: Armed
    progress: Progress | None
    pause: Pause | None

    @property
    def status(self) -> str:
        """`on`, `paused`, or `disabled` where the file says so."""
        if not self.armed.trigger.enabled:
            return "disabled"
        return "paused" if self.pause is not None else "on"

    def moments(self, after: float | None = None) -> Iterator[Moment]:
        """Yield its next moments; none where it waits for something else than time."""
        calendar = calendar_of(self.armed.trigger)
        if calendar is None:
            return
        if after is None:
            after = time.time()
            if self.progress is not None and self.progress.about == self.armed.about:
                after = max(after, self.progress.last)
        yield from upcoming(calendar, self.armed.trigger.timezone, after)


class Schedules:
    """The triggers of a project's folder, and of flows outside of it that an engine has up.

    Args:
        path: the store's file; it need not be there yet to look.
        folder: where the flows lie.
        limits: how large flows may be.
    """

    def __init__(self, path: str | Path, folder: str | Path, limits: Limits | None = None) -> None:
        self._path = Path(path)
        self._folder = Path(folder)
        self._plans = Plans(limits)
        self._python = PythonFiles()
        self.broken: dict[str, str] = {}
        """Files that could not be read, and why."""

    def listed(self) -> list[Schedule]:
        """Return all triggers in the order of their names; blocks while it reads."""
        progress: dict[str, Progress] = {}
        pauses: dict[str, Pause] = {}
        if self._path.exists():
            with Opened(self._path) as store:
                progress = all_of(store, SCHEDULE, Progress)
                pauses = all_of(store, PAUSE, Pause)
        armed = self._in_files({known.file for known in progress.values() if known.file})
        return [
            Schedule(name, one, progress.get(name), pauses.get(name)) for name, one in sorted(armed.items())
        ]

    def _in_files(self, others: set[str]) -> dict[str, Armed]:
        found: dict[str, Armed] = {}
        roots = [self._folder, *(Path(file_of(place)) for place in sorted(others))]
        seen: set[Path] = set()
        for root in roots:
            if not root.exists() or root in seen:
                continue
            folder = Folder(root, self._plans, (self._python,), mentioning=b"triggers")
            folder.look()
            for loaded in folder.flows.values():
                seen.add(loaded.file)
                for trigger in loaded.plan.triggers:
                    one = Armed(loaded.plan, trigger, str(loaded.path))
                    found.setdefault(one.name, one)
            self.broken |= {folder.shown(path): broken.message for path, broken in folder.broken.items()}
            seen |= {broken.file for broken in folder.broken.values()}
        return found

    def find(self, name: str) -> list[Schedule]:
        """Return the triggers that a name means: one by its full name, one by its own, all of a flow.

        Raises:
            NotFound: there is none; the hint offers the nearest.
        """
        listed = self.listed()
        for found in (
            [one for one in listed if one.name == name],
            [one for one in listed if one.armed.plan.name == name],
            [one for one in listed if one.armed.trigger.name == name],
        ):
            if found:
                return found
        raise NotFound("trigger", name, _hint(name, listed))

    def one(self, name: str) -> Schedule:
        """Return the only trigger that a name means.

        Raises:
            NotFound: there is none, or there are several.
        """
        found = self.find(name)
        if len(found) > 1:
            raise NotFound("trigger", name, "several are meant: " + ", ".join(one.name for one in found[:5]))
        return found[0]

    # -- what people ask for ------------------------------------------------------------

    def pause(self, names: list[str], by: str, reason: str = "") -> None:
        """Keep triggers from starting anything, until they are resumed; engines are told."""
        pause = Pause(by, time.time(), reason)
        with Opened(self._path, make=True) as store:
            for name in names:
                store.facts().change(PAUSE, name, lambda old, name=name: old or fact(PAUSE, name, pause))  # type: ignore[misc]
            store.facts().announce()

    def resume(self, names: list[str]) -> None:
        """Let triggers go on from now: what came while they were paused is not made up for."""
        now = time.time()

        def passed(old: Fact | None, name: str) -> Fact | None:
            if old is None:
                return None
            progress = msgspec.msgpack.decode(old.value, type=Progress)
            progress.last = max(progress.last, now)
            progress.number = None
            progress.low = now
            return fact(SCHEDULE, name, progress)

        with Opened(self._path, make=True) as store:
            for name in names:
                # an engine that is up does the same; where none is, nobody else would
                store.facts().change(SCHEDULE, name, lambda old, name=name: passed(old, name))  # type: ignore[misc]
                store.facts().change(PAUSE, name, lambda _old: None)
            store.facts().announce()

    def ask(
        self, schedule: Schedule, by: str, timeout: float = 3.0, *, profile: str | None = None
    ) -> str | None:
        """Ask the engine that has a trigger up for a run now; returns the run's id, None where there is no such engine.

        Either an engine has taken the request, or it is withdrawn.
        """
        if not self._path.exists():
            return None
        with Opened(self._path) as store:
            if not any(engine.alive for engine in store.engines()):
                return None
            key = base32(secrets.randbits(60), 12)
            asked = Ask(schedule.name, by, time.time(), profile)
            store.facts().change(ASK, key, lambda _old: fact(ASK, key, asked))
            store.facts().announce()
            until = time.monotonic() + timeout
            while store.facts().get(ASK, key) is not None:
                if time.monotonic() > until and self._withdrawn(store, key):
                    return None
                time.sleep(LOOK_AGAIN)
            return self._run_of(store, schedule, key)

    def _withdrawn(self, store: Store, key: str) -> bool:
        """Take a request back; False where an engine was faster."""
        there: list[bool] = []

        def take(old: Fact | None) -> None:
            there.append(old is not None)

        store.facts().change(ASK, key, take)
        return there[-1]

    def _run_of(self, store: Store, schedule: Schedule, key: str) -> str | None:
        flow, trigger = schedule.armed.plan.name, schedule.armed.trigger.name
        row = store.run_by_key(flow, f"{trigger}@hand-{key}")
        if row is not None:
            return row.id
        found = store.facts().get(SCHEDULE, schedule.name)  # the trigger has a `key` of its own
        return None if found is None else msgspec.msgpack.decode(found.value, type=Progress).run


def _hint(name: str, listed: list[Schedule]) -> str:
    import difflib  # start-up time: only for a misspelt name

    names = [one.name for one in listed]
    short = [part for one in listed for part in (one.armed.plan.name, one.armed.trigger.name)]
    close = difflib.get_close_matches(name, [*names, *short], 1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(names) - 5} more: `flowbuilder schedules list`" if len(names) > 5 else ""
    return f"there are {', '.join(names[:5])}{more}" if names else "no flow here has triggers"


class Opened:
    """A store, opened beside whoever works on it; made where asked for."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self._path = path
        self._make = make
        self._store: Any = None

    def __enter__(self) -> Store:
        if self._make and not self._path.exists():
            made = make_store(self._path)
            made.open(base32(secrets.randbits(60), 12))
            made.close()
        self._store = make_store(self._path)
        self._store.open(None)
        store: Store = self._store
        return store

    def __exit__(self, *_error: object) -> None:
        self._store.close()
