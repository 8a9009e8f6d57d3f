"""`cache`: an output of before in place of an execution.

An entry is a fact, written in the same commit as the end of the task that
made it.  Of executions with the same key one is carried out at a time in an
engine; the others wait for what it yields.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.cache import (
    KIND,
    Entry,
    decode_entry,
    digest_of,
    encode_entry,
    encoded_key,
    hidden_name,
    prefix_of,
    shown_key,
)
from flowbuilder.core.errors import ExpressionError, FlowBuilderError, OutputError
from flowbuilder.core.masking import MASK
from flowbuilder.core.plan import Hidden
from flowbuilder.core.records import NULL
from flowbuilder.core.rules import CACHED, SUCCEEDED
from flowbuilder.runtime.attempts import FOR_OTHERS, FOR_TASKS
from flowbuilder.storage.api import Fact, Keep

if TYPE_CHECKING:
    import asyncio

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState

OF_RUN: Final = 30 * 86400.0
"""Seconds for which what is kept for one run is kept at most, should nobody see it end."""
LOOSE: Final = 1.0
"""Seconds after which what a flow with `durability: none` kept is on disk."""


class Flight:
    """A key that is being looked up, or whose output is being made."""

    __slots__ = ("key", "leader", "name", "names", "waiting")

    def __init__(self, names: list[str], key: str, leader: Execution) -> None:
        self.name = names[0]
        """Under which an output is kept."""
        self.names = names
        """Under which it is looked for: what is sensitive has one by each key that encrypts."""
        self.key = key
        self.leader = leader
        self.waiting: list[Execution] = []


class Caches:
    """Looks outputs up, keeps them, and has executions with one key wait for each other."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._attempts = machine.attempts
        self._flights: dict[str, Flight] = {}
        self._of: dict[Execution, Flight] = {}
        """Executions that are in a flight, at its head or behind."""
        self._fresh: dict[str, tuple[bytes, float | None]] = {}
        """Outputs whose entries are on their way to the disk, with when they expire."""

    def begin(self, execution: Execution) -> bool:
        """Look for an output; tell whether the execution is seen to (it may go on later), or is to be carried out."""
        task, run = execution.task, execution.frame.run
        cache = task.cache
        assert cache is not None
        if run.recovered is not None and execution.path in run.recovered.rescues:
            return False
        try:
            key = cache.key(execution.scope)
            prefix = prefix_of(cache.scope, flow=run.row.flow, task=cache.path, run_id=run.id)
            hidden = type(cache.key) is Hidden
            names = [prefix + one for one in self._names(key, hidden=hidden, sensitive=task.sensitive)]
            shown = MASK if hidden else shown_key(key)
        except (ExpressionError, OutputError) as error:
            execution.attempt = 1
            self._machine.failures.fail(execution, error.kind, str(error))
            return True
        name = names[0]
        flight = self._flights.get(name)
        if flight is not None:
            flight.waiting.append(execution)
            self._of[execution] = flight
            self._park(execution, flight)
            return True
        fresh = self._fresh.get(name)
        if fresh is not None and (fresh[1] is None or fresh[1] > self._machine.clock.now()):
            self._use(execution, fresh[0])
            return True
        self._flights[name] = self._of[execution] = flight = Flight(names, shown, execution)
        self._look_up(flight)
        return True

    def _park(self, execution: Execution, flight: Flight) -> None:
        """Have one wait; while it is another run's output that it waits for, its run must be there to hear of it."""
        own = flight.leader.frame.run is execution.frame.run
        self._attempts.park(execution, FOR_TASKS if own else FOR_OTHERS)

    def _names(self, key: Any, *, hidden: bool, sensitive: bool) -> list[str]:
        if not hidden:
            return [digest_of(key)]
        digests = self._machine.sealing.digests("a key of the cache", encoded_key(key))
        return [hidden_name(digest, sensitive=sensitive) for digest in digests]

    def _look_up(self, flight: Flight) -> None:
        found = self._machine.loop.run_in_executor(None, self._find_any, flight.names)
        found.add_done_callback(functools.partial(self._looked_up, flight))

    def _find_any(self, names: list[str]) -> bytes | None:
        return next((found for name in names if (found := self._find(name)) is not None), None)

    def _find(self, name: str) -> bytes | None:
        """Return the encoded output of an entry that counts; on a thread."""
        fact = self._machine.store.facts().get(KIND, name)
        if fact is None or (fact.expires_at is not None and fact.expires_at <= self._machine.clock.now()):
            return None
        try:
            entry = decode_entry(fact.value)
            kept = bytes(entry.output) if entry.blob is None else self._machine.store.blobs().get(entry.blob)
            return self._machine.sealing.opened(name, kept)
        except (FlowBuilderError, msgspec.DecodeError):
            return None  # what cannot be read is made anew

    def _looked_up(self, flight: Flight, found: asyncio.Future[bytes | None]) -> None:
        """Use what was found, or carry the execution out."""
        encoded = None
        if (
            not found.cancelled() and found.exception() is None
        ):  # a cache that fails is no failure of the task
            encoded = found.result()
        leader = flight.leader
        run = leader.frame.run
        if self._machine.stopping or run.lost or leader.ended or self._flights.get(flight.name) is not flight:
            return
        try:
            if encoded is None or not self._fits(leader, encoded):
                self._attempts.go(leader)
            else:
                self._share(flight, encoded)
        except Exception as error:
            self._machine.phases.broken(run, error)
            return
        self._machine.scheduler.pump(run)

    def _fits(self, execution: Execution, encoded: bytes) -> bool:
        """Tell whether a kept output is one that the task could yield today: its `schema` may have changed."""
        task = execution.task
        return task.schema is None or task.repeat is not None or not task.schema(values.decode(encoded))

    def _share(self, flight: Flight, encoded: bytes) -> None:
        """End all of a flight with one output."""
        del self._flights[flight.name]
        for execution in (flight.leader, *flight.waiting):
            if self._of.pop(execution, None) is None or execution.ended or execution.frame.run.lost:
                continue
            self._use(execution, encoded)
            if execution is not flight.leader:
                self._machine.loop.call_soon(self._machine.scheduler.pump, execution.frame.run)

    def _use(self, execution: Execution, encoded: bytes) -> None:
        value = values.decode(encoded)
        masker = execution.frame.run.masker
        if masker is not None:
            value = masker.value(value)
            encoded = values.encode(value)
        self._attempts.end(execution, SUCCEEDED, value, encoded, None, CACHED)

    # -- keeping ------------------------------------------------------------------------

    def keep(self, execution: Execution, value: Any, encoded: bytes) -> None:
        """Keep what an execution yielded, with its end; whoever waits for the key has it at once."""
        flight = self._of.get(execution)
        if flight is None or flight.leader is not execution:
            return
        run, cache = execution.frame.run, execution.task.cache
        assert cache is not None
        now = self._machine.clock.now()
        ttl = OF_RUN if cache.ttl is None and cache.scope == "run" else cache.ttl
        expires_at = None if ttl is None else now + ttl
        entry = Entry(
            cache.scope, run.row.flow, cache.path, run.id, now, flight.key, NULL, None, len(encoded)
        )
        self._fresh[flight.name] = (encoded, expires_at)
        kept = encoded
        if execution.task.sensitive:
            kept = self._machine.sealing.seal("", flight.name, encoded)
        if len(kept) <= values.BLOB_BYTES:
            entry = msgspec.structs.replace(entry, output=msgspec.Raw(kept))
            self._keep(run, flight.name, entry, expires_at)
        else:
            self._keep_large(run, flight.name, entry, expires_at, kept)
        self._of.pop(execution)
        self._machine.committer.touch(run)
        self._share(flight, encoded)

    def _keep(self, run: RunState, name: str, entry: Entry, expires_at: float | None) -> None:
        run.add_write(f"{KIND}/{name}", Keep(Fact(KIND, name, encode_entry(entry), expires_at)))
        # the end of the task is recorded in the same turn, so that this asks for the flush that holds both
        self._machine.loop.call_soon(self._forget_when_durable, run, name)

    def _forget_when_durable(self, run: RunState, name: str) -> None:
        if run.plan.durability == "none":  # nothing tells when it is on disk
            self._machine.loop.call_later(LOOSE, self._fresh.pop, name, None)
        else:
            self._machine.committer.when_durable(run, functools.partial(self._is_durable, name))

    def _is_durable(self, name: str, _error: Exception | None) -> None:
        self._fresh.pop(name, None)

    def _keep_large(
        self, run: RunState, name: str, entry: Entry, expires_at: float | None, encoded: bytes
    ) -> None:
        """Put a large output into the blob store; the run is flushed when that is done."""
        run.blobs += 1
        kept = self._machine.loop.run_in_executor(None, self._machine.store.blobs().put, encoded)

        def done(kept: asyncio.Future[str]) -> None:
            error = kept.exception()
            run.blobs -= 1
            if run.lost or error is not None:
                self._fresh.pop(name, None)
            else:
                entry_of_blob = msgspec.structs.replace(entry, blob=kept.result())
                self._keep(run, name, entry_of_blob, expires_at)
            if not run.lost and not run.blobs:
                self._machine.committer.resume(run)

        kept.add_done_callback(done)

    # -- executions that come to nothing ------------------------------------------------------

    def left(self, execution: Execution) -> None:
        """Take in that an execution ended without an output to share; the next one is carried out."""
        flight = self._of.pop(execution, None)
        if flight is None:
            return
        if flight.leader is not execution:
            flight.waiting.remove(execution)
            return
        del self._flights[flight.name]
        while flight.waiting:
            following = flight.waiting.pop(0)
            if following.ended or following.frame.run.lost:
                self._of.pop(following, None)
                continue
            flight.leader = following
            self._flights[flight.name] = flight
            for execution in flight.waiting:
                self._park(execution, flight)
            self._machine.loop.call_soon(self._lead, flight)
            return

    def _lead(self, flight: Flight) -> None:
        """Have the first of those that waited carried out."""
        leader = flight.leader
        run = leader.frame.run
        if self._flights.get(flight.name) is not flight or leader.ended or run.lost or self._machine.stopping:
            return
        self._attempts.unpark(leader)
        try:
            self._attempts.go(leader)
        except Exception as error:
            self._machine.phases.broken(run, error)
            return
        self._machine.scheduler.pump(run)

    def run_ended(self, run: RunState) -> None:
        """Forget what was kept for one run only."""
        if run.plan.caches_for_run:
            forget = functools.partial(
                self._machine.store.facts().forget, KIND, prefix=prefix_of("run", run_id=run.id)
            )
            self._machine.recovery.in_background(self._machine.in_thread(forget))
