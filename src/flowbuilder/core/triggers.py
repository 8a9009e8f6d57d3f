"""What starts runs of a flow by itself: the kinds of trigger as data."""

from __future__ import annotations

from typing import Literal

import msgspec

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
