"""Commands from people and other engines, for runs of this one.

Whoever can carry out a kind of command says so with `on`; a kind that nobody
knows was left by a later release, and is left for an engine of it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import StoreError
from flowbuilder.storage.api import LIVE
from flowbuilder.storage.lanes import waits_its_turn

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import Command

_log = logging.getLogger("flowbuilder.engine")

Handler = Callable[["RunState", Any], object]

AGAIN = 1.0
"""Seconds after which a command is tried again that could not be carried out."""
SOON = 0.05
"""Seconds from a ring to a look at what nobody drives: a thousand rings are one look."""
BATCH = 500
"""Commands that are settled at once."""


class Commands:
    """Reads commands when it is woken; each is settled when it has been carried out."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._reading = False
        self._looking = False
        self._handlers: dict[str, Handler] = {}
        self.listeners: tuple[Callable[[], None], ...] = ()
        """Called whenever somebody has rung: there may be more to look at than commands."""

    def on(self, kind: str, handler: Handler) -> None:
        """Have a kind of command carried out by `handler`, which is given the run and the payload."""
        self._handlers[kind] = handler

    def wake(self) -> None:
        """Read commands; called on the loop."""
        for listener in self.listeners:
            listener()
        if not self._reading:
            self._reading = True
            self._machine.recovery.in_background(self._read())

    async def _read(self) -> None:
        self._reading = False
        await self.receive()
        machine = self._machine
        if machine.takes_over and not self._looking:
            self._looking = True
            machine.loop.call_later(SOON, self._look)

    async def receive(self) -> None:
        """Carry out what was left for runs of this engine: also by those who rang for one that has died."""
        await self._machine.recovery.to_the_end(self._receive())  # the store tells of each once

    async def _receive(self) -> None:
        machine = self._machine
        commands = await machine.in_thread(machine.store.receive)
        for start in range(0, len(commands), BATCH):
            await self._obey(commands[start : start + BATCH])

    def _look(self) -> None:
        """Carry on what was changed in the store: a run was resumed, or cancelled, that nobody drives."""
        self._looking = False
        self._machine.recovery.in_background(self._machine.recovery.take_over())

    async def _obey(self, commands: list[Command]) -> None:
        """Carry commands out; those are settled whose doing is on disk, the rest is tried again."""
        done: list[Command] = []
        runs: dict[str, RunState] = {}
        again: list[Command] = []
        for command in commands:
            handler = self._handlers.get(command.kind)
            if handler is None:
                _log.warning("run %s: nobody here knows the command '%s'", command.run_id, command.kind)
                continue
            try:
                run = await self._run_of(command)
            except StoreError as error:
                _log.warning("a command for run %s is tried again: %s", command.run_id, error)
                again.append(command)
                continue
            if run is not None:
                self._carry_out(handler, run, command)
                runs[run.id] = run
            elif not await self._hand_on(command):
                again.append(command)
                continue
            done.append(command)
        try:
            lost = await self._durable(list(runs.values()))
            numbers = [command.number for command in done if command.run_id not in lost]
            again += [command for command in done if command.run_id in lost]
            await self._machine.in_thread(functools.partial(self._machine.store.settle, numbers))
        except StoreError as error:
            _log.warning("%d commands are tried again: %s", len(done), error)
            again += done
        if again:
            in_background = self._machine.recovery.in_background
            self._machine.timers.after(AGAIN, lambda: in_background(self._obey(again)))

    @staticmethod
    def _carry_out(handler: Handler, run: RunState, command: Command) -> None:
        """Do what a command says; one that cannot be done must keep nobody from the others, nor come again."""
        try:
            handler(run, values.decode(command.payload))
        except Exception:
            _log.exception("run %s: the command '%s' cannot be carried out", run.id, command.kind)

    async def _run_of(self, command: Command) -> RunState | None:
        machine = self._machine
        if command.run_id not in machine.runs.live:
            await machine.recovery.adopt_if_free(command.run_id)
        return machine.runs.live.get(command.run_id)

    async def _hand_on(self, command: Command) -> bool:
        """Have a command done in the store to a run that is queued or at rest since; False to try it again.

        A run that came into memory may have left again at once, before it could be told.
        """
        machine = self._machine
        try:
            row = await machine.in_thread(functools.partial(machine.store.run, command.run_id))
            at_rest = row is not None and row.status in LIVE and (row.owner is None or waits_its_turn(row))
            if at_rest:
                await machine.steering.order(row.id, command.kind, values.decode(command.payload))
        except StoreError as error:
            _log.warning("a command for run %s is tried again: %s", command.run_id, error)
            return False
        return True

    async def _durable(self, runs: list[RunState]) -> set[str]:
        """Return when what was done to runs is on disk; those that were lost instead."""
        loop, committer = self._machine.loop, self._machine.committer
        waiting: dict[str, asyncio.Future[None]] = {}
        for run in runs:
            if not run.lost:
                kept = waiting[run.id] = loop.create_future()
                committer.when_durable(run, functools.partial(_tell, kept))
        for kept in waiting.values():
            await asyncio.wait((kept,))
        return {run_id for run_id, kept in waiting.items() if kept.exception() is not None}


def _tell(kept: asyncio.Future[None], error: Exception | None) -> None:
    if not kept.done():
        if error is None:
            kept.set_result(None)
        else:
            kept.set_exception(error)
