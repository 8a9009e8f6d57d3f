"""Commands from other engines, for runs of this one."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from flowbuilder.core import values
from flowbuilder.core.errors import StoreError

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import Command

_log = logging.getLogger("flowbuilder.engine")

AGAIN = 1.0
"""Seconds after which a command is tried again that could not be carried out."""


class Commands:
    """Reads commands when it is woken; each is settled when it has been carried out."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._reading = False

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
        try:
            if command.kind == "cancel":
                reason = values.decode(command.payload).get("reason", "")
                await machine.recovery.adopt_if_free(command.run_id)
                run = machine.runs.live.get(command.run_id)
                if run is not None:
                    machine.cancellation.cancel(run, reason)
            await machine.in_thread(functools.partial(machine.store.settle, [command.number]))
        except StoreError as error:
            _log.warning("a command for run %s is tried again: %s", command.run_id, error)
            machine.timers.at(
                machine.clock.now() + AGAIN, lambda: machine.recovery.in_background(self._obey(command))
            )
