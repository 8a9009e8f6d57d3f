"""Commands from people and other engines, for runs of this one.

Whoever can carry out a kind of command says so with `on`; a kind that nobody
knows was left by a later release, and is left for an engine of it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import StoreError

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import Command

_log = logging.getLogger("flowbuilder.engine")

Handler = Callable[["RunState", Any], object]

AGAIN = 1.0
"""Seconds after which a command is tried again that could not be carried out."""


class Commands:
    """Reads commands when it is woken; each is settled when it has been carried out."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._reading = False
        self._handlers: dict[str, Handler] = {}

    def on(self, kind: str, handler: Handler) -> None:
        """Have a kind of command carried out by `handler`, which is given the run and the payload."""
        self._handlers[kind] = handler

    def wake(self) -> None:
        """Read commands; called on the loop."""
        if not self._reading:
            self._reading = True
            self._machine.recovery.in_background(self._read())

    async def _read(self) -> None:
        self._reading = False
        for command in await self._machine.in_thread(self._machine.store.receive):
            await self._obey(command)

    async def _obey(self, command: Command) -> None:
        machine = self._machine
        handler = self._handlers.get(command.kind)
        if handler is None:
            _log.warning("run %s: nobody here knows the command '%s'", command.run_id, command.kind)
            return
        try:
            await machine.recovery.adopt_if_free(command.run_id)
            run = machine.runs.live.get(command.run_id)
            if run is not None:
                handler(run, values.decode(command.payload))
            await machine.in_thread(functools.partial(machine.store.settle, [command.number]))
        except StoreError as error:
            _log.warning("a command for run %s is tried again: %s", command.run_id, error)
            machine.timers.at(
                machine.clock.now() + AGAIN, lambda: machine.recovery.in_background(self._obey(command))
            )
