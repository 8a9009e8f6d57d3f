"""A trigger of a version of a flow, and the run that it starts."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import (
    EngineStopped,
    ExpressionError,
    FlowBuilderError,
    KeyConflict,
    StoreError,
)
from flowbuilder.core.functions.writing import written
from flowbuilder.core.masking import MASK
from flowbuilder.core.plan import CONTEXT, HEADER
from flowbuilder.core.sealed import Sealed
from flowbuilder.core.triggers import CronTrigger, EveryTrigger, kind_of
from flowbuilder.runtime.context import Context
from flowbuilder.runtime.encryption import EncryptionKeyMissing, EncryptionKeyUnusable
from flowbuilder.runtime.refused import record_refused
from flowbuilder.runtime.start import Start
from flowbuilder.storage.api import RunRow
from flowbuilder.triggers.state import full_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.core.plan import FlowPlan, TriggerPlan
    from flowbuilder.runtime.machine import Machine

NOT_NOW: Final = (StoreError, EncryptionKeyMissing, EncryptionKeyUnusable)
"""What `Armed.fire` raises where it is to be tried again: the store or the key may be there later."""

Outcome = Literal["started", "known", "condition", "refused"]


class Fired(msgspec.Struct, frozen=True):
    """What came of firing a trigger."""

    outcome: Outcome
    """A new run; one that its key had already; none, since `if` did not hold; a run that failed at once."""
    row: RunRow | None = None
    message: str = ""


@dataclasses.dataclass(slots=True, eq=False)
class Armed:
    """A trigger that is in force."""

    plan: FlowPlan
    trigger: TriggerPlan
    file: str = ""
    name: str = dataclasses.field(init=False)
    """Its full name: `flow/trigger`."""
    kind: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.name = full_name(self.plan.name, self.trigger.name)
        self.kind = kind_of(self.trigger.kind)

    @property
    def about(self) -> str:
        """What its moments depend on, as a text: when that changes, what it missed before counts no more."""
        kind = self.trigger.kind
        match kind:
            case CronTrigger(text):
                return f"cron {text} {self.trigger.timezone}"
            case EveryTrigger(seconds, anchor):
                return f"every {seconds!r} {anchor!r}"
            case _:
                return values.encode(msgspec.to_builtins(kind)).hex()

    def view(self, by: str, **more: Any) -> dict[str, Any]:
        """Return what expressions see as `trigger`."""
        return {"type": self.kind, "name": self.trigger.name, "by": by, **more}

    async def fire(
        self,
        machine: Machine,
        seen: dict[str, Any],
        occasion: str,
        *,
        conditional: bool = True,
        labels: dict[str, str] | None = None,
        again: bool = False,
        profile: str | None = None,
    ) -> Fired:
        """Start the run of one occasion, at most once however often this is called for it.

        Args:
            machine: the engine.
            seen: what expressions see as `trigger`.
            occasion: what tells this occasion from all others of the trigger.
            conditional: whether `if` and `filter` are asked.
            labels: of the run, beside those of the trigger.
            again: start a run even if the occasion has one; `occasion` then tells this from others.
            profile: the one that holds for the run; the engine's, or the project's, otherwise.

        Raises:
            StoreError, EncryptionKeyMissing, EncryptionKeyUnusable: nothing was started; to be tried again.
            EngineStopped: the engine is being closed.
        """
        trigger, plan = self.trigger, self.plan
        key = self.usual_key(occasion)
        wanted = {**trigger.labels, **(labels or {})}
        how = Start(key=key, priority=trigger.priority, labels=wanted or None, about={"trigger": seen})
        before = machine.starts.new_id(machine.clock.now())
        try:
            about = {"trigger": seen, **machine.profiles.about(plan, profile)}
            how = msgspec.structs.replace(how, about=about)
            opened = machine.sealing.opened_trigger(seen)
            scope = self.scope(machine.clock.now(), {**about, "trigger": opened}, occasion)
            if conditional and not self.holds(scope):
                return Fired("condition")
            if trigger.key is not None and not again:
                how = msgspec.structs.replace(how, key=self.key_of(scope, occasion))
            inputs = {} if trigger.inputs is None else trigger.inputs(scope)
            row = await machine.starts.start(plan, inputs, how)
        except KeyConflict as error:  # an expression gave something else before, such as another `now()`
            row = await machine.in_thread(functools.partial(machine.store.run, error.run_id))
            return Fired("known", row)
        except (*NOT_NOW, EngineStopped):
            raise
        except ExpressionError as error:
            return await self._refuse(machine, how, f"{error.kind}: {error.message}", before)
        except FlowBuilderError as error:
            return await self._refuse(machine, how, str(error), before)
        return Fired("started" if _is_new(machine, row, before) else "known", row)

    async def refuse(
        self, machine: Machine, seen: dict[str, Any], occasion: str, kind: str, message: str
    ) -> Fired:
        """Record a failed run in place of the one of an occasion; once, as `fire`.

        Raises:
            StoreError: nothing was recorded.
        """
        before = machine.starts.new_id(machine.clock.now())
        how = Start(key=self.usual_key(occasion), labels=self.trigger.labels or None, about={"trigger": seen})
        return await self._refuse(machine, how, message, before, kind)

    async def _refuse(
        self, machine: Machine, how: Start, message: str, before: str, kind: str = "input"
    ) -> Fired:
        """Record a failed run, so that what went wrong is seen; once for each occasion."""
        event = (how.about or {})["trigger"].get("event")
        if event is not None and type(event["payload"]) is Sealed:
            message = MASK  # it may quote what came
        text = f"trigger '{self.trigger.name}': {message}"
        row = await record_refused(machine, self.plan, how, kind, text)
        return Fired("refused" if _is_new(machine, row, before) else "known", row, text)

    def usual_key(self, occasion: str) -> str:
        """Return the key of an occasion's run, unless the trigger has a `key` of its own."""
        return f"{self.trigger.name}@{occasion}"

    def key_of(self, scope: list[Any], occasion: str) -> str:
        """Return the key of an occasion's run.

        Raises:
            ExpressionError: the trigger's `key` cannot be worked out.
        """
        own = self.trigger.key
        return self.usual_key(occasion) if own is None else written(own(scope))

    def holds(self, scope: list[Any]) -> bool:
        """Tell whether `filter` and `if` let an occasion start a run.

        Raises:
            ExpressionError: they cannot be worked out.
        """
        conditions = (self.trigger.filter, self.trigger.condition)
        return all(condition is None or condition(scope) is True for condition in conditions)

    def scope(self, now: float, about: Mapping[str, Any], occasion: str) -> list[Any]:
        """Return what the trigger's expressions are evaluated over.

        Args:
            now: the moment that `now()` gives.
            about: `trigger`, and `config` where the flow has it.
            occasion: what tells it from all others.
        """
        place = f"{self.name}@{occasion}"
        row = RunRow(place, self.plan.name, self.plan.content_hash, "queued", now, b"")
        context = Context(self.plan, {}, row)
        context.trigger = about["trigger"]
        context.config = about.get("config", {})
        context.stand(place, now)
        scope: list[Any] = [None] * HEADER
        scope[CONTEXT] = context
        return scope


def _is_new(machine: Machine, row: RunRow, before: str) -> bool:
    """Tell whether a run was begun by this engine, after the id `before` was made."""
    return row.id > before and row.id.endswith(machine.id)
