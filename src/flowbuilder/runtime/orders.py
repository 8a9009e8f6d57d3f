"""What people want of runs, as the store can carry it out where no engine does (`storage.api.Order`)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flowbuilder.core import records, values
from flowbuilder.core.errors import InputError
from flowbuilder.core.failure import writable
from flowbuilder.storage.api import Order


def cancel(now: float, reason: str, *, undo: bool = True) -> Order:
    """Stop: the engine that carries the run on next stops what it was about, and runs its handlers."""
    reason = writable(reason)
    record = records.CancelAsked(now, reason, undo=undo)
    payload = values.encode({"reason": reason, "undo": undo})
    return Order("cancel", payload, {"status": "running", "wake_at": None}, records.encode([record]))


def deadline(now: float, at: float) -> Order:
    """End what has not ended by its deadline `at`: as a cancel, but it ends `failed`, after its `on_failure`."""
    reason = missed(at)
    record = records.CancelAsked(now, reason, "timeout")
    payload = values.encode({"reason": reason, "undo": True, "kind": "timeout"})
    changes = {"status": "running", "wake_at": None, "deadline_at": None}
    return Order("cancel", payload, changes, records.encode([record]), due=now)


def missed(at: float) -> str:
    """Return why a run stops whose deadline has come."""
    moment = dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")
    return f"no end before the deadline of the run, {moment}"


def pause(now: float, reason: str = "") -> Order:
    """Start nothing more."""
    reason = writable(reason)
    return Order(
        "pause",
        values.encode({"reason": reason}),
        {"status": "paused", "wake_at": None},
        records.encode([records.Paused(now, reason)]),
        ("queued", "running", "waiting"),
    )


def resume(now: float) -> Order:
    """Go on."""
    return Order(
        "resume",
        values.encode({}),
        {"status": "running", "wake_at": None},
        records.encode([records.Resumed(now)]),
        ("paused",),
    )


def of_command(now: float, kind: str, payload: dict[str, Any]) -> Order | None:
    """Return what a command asks for, as an order; None for one of another kind."""
    match kind:
        case "cancel" if payload.get("kind") is None:
            return cancel(now, payload.get("reason", ""), undo=payload.get("undo", True))
        case "pause":
            return pause(now, payload.get("reason", ""))
        case "resume":
            return resume(now)
        case "priority":
            return priority(payload["priority"])
    return None


def priority(number: int) -> Order:
    """Go before others, or behind them.

    Raises:
        InputError: if it is none from 0 to 100.
    """
    if type(number) is not int or not 0 <= number <= 100:
        raise InputError([("priority", "is a whole number from 0 to 100")])
    return Order("priority", values.encode({"priority": number}), {"priority": number})
