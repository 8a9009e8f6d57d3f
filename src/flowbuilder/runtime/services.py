"""What an engine lends to task types: the HTTP session, threads, places for child processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flowbuilder.core import values
from flowbuilder.core.errors import TaskFailed
from flowbuilder.runtime.executors.children import Children
from flowbuilder.runtime.executors.places import Places
from flowbuilder.runtime.executors.threads import Threads
from flowbuilder.runtime.lent import Lent
from flowbuilder.runtime.on_disk import put_on_disk
from flowbuilder.runtime.project import find_project
from flowbuilder.runtime.sealed_files import SealedFiles
from flowbuilder.storage.events import Emit, Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from contextlib import AbstractAsyncContextManager

    import aiohttp

    from flowbuilder.core.clock import Clock
    from flowbuilder.core.connections import Connection
    from flowbuilder.core.urgency import Urgency
    from flowbuilder.runtime.config import Config
    from flowbuilder.runtime.profiles import Profiles
    from flowbuilder.runtime.sealing import Sealing
    from flowbuilder.storage.api import Blobs, Facts, Store
    from flowbuilder.tasks.api import Call


class EngineServices:
    """Passes `tasks.api.Services`.

    Making it ends what dead engines of the same store have left running, so
    that it is done before any of their runs is carried on.

    Args:
        clock: the engine's.
        config: how much of what there is.
        store: where small values and blobs are kept; where it is a file, process groups are on record beside it.
        profiles: what describes connections.
        sealing: encrypts what is sensitive.
    """

    def __init__(
        self,
        clock: Clock,
        config: Config,
        store: Store | None = None,
        profiles: Profiles | None = None,
        sealing: Sealing | None = None,
    ) -> None:
        self.clock = clock
        self._store = store
        self._sealing = sealing
        self.files: SealedFiles | None = None
        """Files of sensitive tasks, where there is a store."""
        if sealing is not None and store is not None:
            self.files = SealedFiles(sealing, store.blobs)
        self.opened = self.files.runs if self.files is not None else set()
        """The runs that such files were opened for."""
        self._profiles = profiles
        self._lent = Lent()
        self._projects: dict[Path, Path] = {}
        self.threads = Threads(config.executors.thread_count())
        self._config = config
        self._store = store
        self._children = Children(_children_folder(store))
        self._places = {
            "shells": Places(config.executors.shell_count(), clock.monotonic),
            "http": Places(config.executors.http, clock.monotonic),
        }
        self._session: aiohttp.ClientSession | None = None
        self.end_orphans()

    async def http(self) -> aiohttp.ClientSession:
        """Return the engine's one pooled session, made on first use.

        It keeps no cookies: what one run is given is no other run's.  Hold a
        place of kind `http` while using it.
        """
        if self._session is None or self._session.closed:
            import aiohttp  # start-up time: it takes longer than all else together

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # `slot` bounds the calls
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the engine does the timing
                trust_env=True,
                headers={"User-Agent": "flowbuilder"},
            )
        return self._session

    def child_started(self, run_id: str, pid: int, started: float) -> None:
        """Put a process group on record."""
        self._children.started(run_id, pid, started)

    def child_ended(self, pid: int) -> None:
        """Strike a process group off the record."""
        self._children.ended(pid)

    def end_orphans(self) -> int:
        """End what dead engines of this store have left; blocks.

        To be called before runs of an engine that died are taken over.
        Returns how many process groups that were.
        """
        return self._children.end_orphans()

    async def emit(self, id: str, name: str, payload: Any, source: str, *, sensitive: bool = False) -> None:
        """Emit an event; returns when it is on disk.  An id that was emitted before is not emitted again.

        Raises:
            TaskFailed: `emit.size`, the payload is too large.
            OutputError: it is no value.
            StoreError: it was not kept.
        """
        encoded = values.encode(payload)
        most = self._config.events.payload_bytes
        if len(encoded) > most:
            raise TaskFailed(
                "emit.size", f"{len(encoded):,} bytes are more than {most:,} (events.payload_bytes)"
            )
        event = Event(id, name, encoded, self.clock.now(), source)
        if sensitive:
            assert self._sealing is not None
            event = self._sealing.sealed_event(event)
        await self.publish(event)

    async def publish(self, event: Event) -> None:
        """Return when an event is on disk; many that come at once share a commit.

        Raises:
            StoreError: it was not kept.
        """
        store = self._store
        assert store is not None
        await put_on_disk(store, [Emit(event)])

    def slot(self, kind: Literal["shells", "http"], urgency: Urgency) -> AbstractAsyncContextManager[object]:
        """Hold one of the places for child processes, or for HTTP calls, while inside."""
        return self._places[kind].hold(urgency)

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        """Run a blocking function on the engine's threads."""
        return await self.threads.run(function)

    def project(self, folder: Path) -> Path:
        """Return the folder of the project around a flow's."""
        found = self._projects.get(folder)
        if found is None:
            found = self._projects[folder] = find_project(folder)
        return found

    def facts(self) -> Facts:
        """Return what the store keeps beyond runs."""
        assert self._store is not None
        return self._store.facts()

    def blobs(self) -> Blobs:
        """Return the store's large values."""
        assert self._store is not None
        return self._store.blobs()

    def seal(self, place: str, encoded: bytes) -> bytes:
        """Return an encoded value as it may be kept beyond its run."""
        assert self._sealing is not None
        return self._sealing.seal("", place, encoded)

    def unseal(self, place: str, encoded: bytes) -> bytes:
        """Return the encoded value that was encrypted for a place."""
        assert self._sealing is not None
        return self._sealing.opened(place, encoded)

    def put_sealed(self, path: Path) -> tuple[str, int]:
        """Keep what is in a file among the large values, encrypted; return its name and its size."""
        assert self.files is not None
        return self.files.put(path)

    def opened_file(self, call: Call, sealed: Path) -> Path:
        """Return a file with what is encrypted in another."""
        assert self.files is not None
        return self.files.opened(call.run_id, sealed)

    def forget_opened(self, run_id: str) -> None:
        """Throw away the files that were opened for a run, which leaves memory."""
        assert self.files is not None
        self.files.forget(run_id)

    def connection(self, call: Call, name: str) -> Connection:
        """Return a connection of the call's flow, with its secrets filled in."""
        assert self._profiles is not None
        assert call.plan is not None
        return self._profiles.connection(call.plan, call.profile, name)

    async def lend(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `make` made for this key, once for all who ask; its `close` is awaited at the end."""
        return await self._lent.get(key, make)

    async def close(self) -> None:
        """End all that was lent, in order: connections, child processes, threads.

        Attempts must have ended, or been cancelled, before.  To close again does nothing.
        """
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        await self._lent.close()
        if self.files is not None:
            self.files.close()
        # not on threads of ours: functions that hang may hold them all
        await asyncio.to_thread(self._children.close)
        self.threads.close()


def _children_folder(store: Store | None) -> Path | None:
    path = getattr(store, "path", None)  # only a store in a file has one
    return None if path is None else Path(f"{path}.children")
