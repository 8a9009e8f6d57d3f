"""What starts runs of a flow by itself: the kinds of trigger as data."""

from __future__ import annotations

from typing import Literal

import msgspec

from flowbuilder.core.durations import format_duration

CatchUp = Literal["none", "last", "all"]
"""What becomes of moments that came while no engine was there."""
Overlap = Literal["allow", "skip", "queue", "cancel"]
"""What becomes of a moment that comes while the run before is live."""
Ended = Literal["succeeded", "failed", "cancelled"]
MOST_CAUGHT_UP = 1000
"""Missed moments that `catch_up: all` starts runs for, unless `catch_up_most` says otherwise."""


class Timing(msgspec.Struct, frozen=True):
    """How a trigger of moments deals with those that it missed, and with runs that take long."""

    catch_up: CatchUp = "last"
    window: float | None = None
    """Seconds; missed moments that are older are left out."""
    most: int = MOST_CAUGHT_UP
    """At most so many missed moments, the newest."""
    overlap: Overlap = "allow"
    jitter: float = 0.0
    """Seconds; each moment is put off by a part of it."""


class CronTrigger(msgspec.Struct, frozen=True, tag="cron"):
    """Moments of a cron expression."""

    text: str
    timing: Timing = Timing()


class EveryTrigger(msgspec.Struct, frozen=True, tag="every"):
    """Moments at equal distances."""

    seconds: float
    anchor: float = 0.0
    """Seconds since 1970 UTC."""
    timing: Timing = Timing()


class FileTrigger(msgspec.Struct, frozen=True, tag="file"):
    """Files that arrive."""

    pattern: str
    """A glob; a relative one starts at the flow file's folder."""
    stable: float = 1.0
    """Seconds for which a file must not have changed."""


class EventTrigger(msgspec.Struct, frozen=True, tag="event"):
    """Events of a name."""

    event: str


class FlowTrigger(msgspec.Struct, frozen=True, tag="flow"):
    """Runs of other flows that end."""

    flows: tuple[str, ...]
    status: tuple[Ended, ...] = ("succeeded",)


class WebhookTrigger(msgspec.Struct, frozen=True, tag="webhook"):
    """Requests to a path of the server."""

    path: str
    method: str = "POST"
    secret: str | None = None
    """The name of the secret that requests are signed with."""


Kind = CronTrigger | EveryTrigger | FileTrigger | EventTrigger | FlowTrigger | WebhookTrigger
KINDS = ("cron", "every", "file", "event", "flow", "webhook")
"""What a trigger may be, by its key."""


def kind_of(kind: Kind) -> str:
    """Return the key that a kind is written with."""
    return str(type(kind).__struct_config__.tag)


def words_for(kind: Kind, timezone: str | None) -> str:
    """Return what a trigger waits for, in words; None: it says no zone of its own."""
    match kind:
        case CronTrigger(text):
            return f"cron {text}" + ("" if timezone in (None, "UTC") else f" {timezone}")
        case EveryTrigger(seconds):
            return f"every {format_duration(seconds)}"
        case FileTrigger(pattern):
            return f"file {pattern}"
        case EventTrigger(event):
            return f"event {event}"
        case FlowTrigger(flows, status):
            return f"flow {', '.join(flows)} {' or '.join(status)}"
        case WebhookTrigger(path, method):
            return f"webhook {method} {path}"


def manner_of(kind: Kind) -> list[str]:
    """Return how a trigger goes about it, where that is not the usual way, each as the flow's file says it."""
    found: list[str] = []
    if isinstance(kind, FileTrigger) and kind.stable != FileTrigger("").stable:
        found.append(f"stable {format_duration(kind.stable)}")
    if isinstance(kind, CronTrigger | EveryTrigger):
        timing, usual = kind.timing, Timing()
        if timing.catch_up != usual.catch_up:
            found.append(f"catch_up {timing.catch_up}")
        if timing.window is not None:
            found.append(f"catch_up_window {format_duration(timing.window)}")
        if timing.most != usual.most:
            found.append(f"catch_up_most {timing.most}")
        if timing.overlap != usual.overlap:
            found.append(f"overlap {timing.overlap}")
        if timing.jitter:
            found.append(f"jitter {format_duration(timing.jitter)}")
    return found
