"""The entries of a run's journal.

A journal is what a run's state can be computed from.  Records name tasks by
path, never by their place in a plan, so that any plan of the same version of
a flow, made by any later release, can carry the run on.  They are encoded as
arrays with a small number in front; fields are only ever added at the end.

Paths: `fetch`; `enrich[3]` and `enrich["de"]` for elements; `build.compile`
inside a group; `build#2.compile` in the group's second attempt; `poll@3` and
`build@3#2.compile` in the third round of a loop; `build!mend` among its
`on_error` tasks; `pay~undo` for what reverses it.  Handlers of the flow stand
behind `on_failure:` and `finally:`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowbuilder.core import values

NULL = msgspec.Raw(b"\xc0")
"""The encoded null."""


class Ended(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """A task, or one element of a task, has ended."""

    path: str
    code: int
    """As in `core.rules`: SUCCEEDED, SKIPPED, CONTINUED, FAILED, UPSTREAM_FAILED, CANCELLED."""
    started_at: float
    ended_at: float
    output: msgspec.Raw = NULL
    """The encoded value."""
    attempts: int = 1
    error: dict[str, Any] | None = None
    reason: str | None = None
    blob: str | None = None
    """The content hash of the output where it is large; then `output` is null."""
    errors: list[dict[str, Any]] | None = None
    """What failed among the elements of a map."""
    keys: list[str] | None = None
    """Of a map over a mapping: its keys; of one that is sensitive they are sealed in `output`.

    The outputs of a map lie in the records of its elements.
    """
    count: int | None = None
    """Of a map: how many elements it had."""
    keeps: list[str] | None = None
    """Blobs that a large output refers to: they are kept as long as it is."""


class RegionEnded(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """Pure tasks that ran as one function have succeeded, one after the other."""

    paths: tuple[str, ...]
    outputs: list[Any]
    """Encoded in place; a value with dates in it is prepared as `values.encode` does."""
    started_at: float
    ended_at: float


class AttemptStarted(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """An attempt begins that must not be made twice (`on_crash: fail`), or has been retried before."""

    path: str
    attempt: int
    at: float


class AttemptFailed(msgspec.Struct, array_like=True, tag=4, frozen=True, gc=False):
    """An attempt failed and another follows at `retry_at`."""

    path: str
    attempt: int
    at: float
    retry_at: float
    error: dict[str, Any]
    started_at: float = 0.0
    """When the first attempt began; 0 where an early release wrote this."""


class Readied(msgspec.Struct, array_like=True, tag=5, frozen=True, gc=False):
    """The moment a task became ready, where its expressions ask for `now()` or `today()`."""

    path: str
    at: float


class Slept(msgspec.Struct, array_like=True, tag=6, frozen=True, gc=False):
    """A task sleeps until a moment."""

    path: str
    since: float
    until: float


class ChildStarted(msgspec.Struct, array_like=True, tag=7, frozen=True, gc=False):
    """A task has started another run and waits for it, or goes on without."""

    path: str
    run_id: str
    at: float


class CancelAsked(msgspec.Struct, array_like=True, tag=8, frozen=True, gc=False):
    """Somebody asked the run to stop; it goes to its `finally` and ends `cancelled`."""

    at: float
    reason: str
    kind: str = "cancelled"
    """`timeout` when the run's own time was up: it then ends `failed`."""
    undo: bool = True
    """Whether what the run has done is undone."""


class PhaseEntered(msgspec.Struct, array_like=True, tag=9, frozen=True, gc=False):
    """The main graph (or a handler) has ended, and `phase` (`undo`, `on_failure`, `finally`) begins."""

    phase: str
    at: float
    error: dict[str, Any] | None = None
    """The first error, as handlers see it."""


class MapStarted(msgspec.Struct, array_like=True, tag=10, frozen=True, gc=False):
    """A map has begun over so many elements."""

    path: str
    at: float
    count: int


class RescueBegan(msgspec.Struct, array_like=True, tag=11, frozen=True, gc=False):
    """The last attempt of a task failed, and its `on_error` tasks run instead; the task is not tried again."""

    path: str
    attempt: int
    at: float
    error: dict[str, Any]
    started_at: float


class ClockStarted(msgspec.Struct, array_like=True, tag=12, frozen=True, gc=False):
    """Time that is bounded began to run: that of an attempt (`timeout`), with 0 that of all (`deadline`).

    Only of tasks that may wait in the store; any other attempt is made anew after a crash.
    """

    path: str
    attempt: int
    at: float


class Waited(msgspec.Struct, array_like=True, tag=25, frozen=True, gc=False):
    """An attempt waits for a limit; with an empty `limit`, it waits no longer."""

    path: str
    attempt: int
    limit: str
    """`rate`, `queue`."""
    key: str
    until: float | None
    """The moment that is reserved for it, where there is one."""
    at: float


class Armed(msgspec.Struct, array_like=True, tag=35, frozen=True, gc=False):
    """An effect that can be undone is about to begin: unless it is disarmed, it is to be undone."""

    path: str
    at: float


class Disarmed(msgspec.Struct, array_like=True, tag=36, frozen=True, gc=False):
    """An effect that was about to begin is known to have changed nothing."""

    path: str
    at: float


class WaitBegan(msgspec.Struct, array_like=True, tag=30, frozen=True, gc=False):
    """A task waits for events or signals, having looked at all up to number `after`."""

    path: str
    attempt: int
    at: float
    until: float | None
    after: int
    what: str = ""
    """What for, for people."""


class EventTaken(msgspec.Struct, array_like=True, tag=31, frozen=True, gc=False):
    """A task that waits has taken an event: no later wait of the run takes it again."""

    path: str
    attempt: int
    number: int
    at: float
    """When it was emitted."""
    signal: bool
    payload: msgspec.Raw = NULL
    """Where the task waits for more; otherwise its end has it."""
    id: str = ""


class EventCarried(msgspec.Struct, array_like=True, tag=43, frozen=True, gc=False):
    """The run came from another store, where an event had come that a wait of it has not looked at."""

    path: str
    attempt: int
    number: int
    """Negative, as all numbers of another store are: none here is the same."""
    id: str
    name: str
    payload: msgspec.Raw
    at: float
    source: str = ""


class Nudged(msgspec.Struct, array_like=True, tag=32, frozen=True, gc=False):
    """Those who are to decide were reminded (`reminder`), or others were asked too (`escalation`)."""

    path: str
    attempt: int
    kind: str
    number: int
    at: float


class RoundEnded(msgspec.Struct, array_like=True, tag=20, frozen=True, gc=False):
    """A round of a loop has ended well, and the next begins at `next_at`.

    Rounds before it that have no such record have ended well too: those of
    pure work are written down now and then only.
    """

    path: str
    """The task's, without a round."""
    round: int
    """Counts from 1."""
    started_at: float
    ended_at: float
    next_at: float
    began_at: float
    """When the first round began."""
    output: msgspec.Raw = NULL
    attempts: int = 1
    blob: str | None = None
    keeps: list[str] | None = None
    """As of `Ended`."""


class Collected(msgspec.Struct, array_like=True, tag=21, frozen=True, gc=False):
    """What rounds of a loop gave to its list, behind all that is there already: a list, encoded."""

    path: str
    round: int
    """The last of those rounds."""
    output: msgspec.Raw = NULL
    blob: str | None = None
    keeps: list[str] | None = None
    """As of `Ended`."""


class Compacted(msgspec.Struct, array_like=True, tag=22, frozen=True, gc=False):
    """This batch stands for all up to the one that bore this number."""

    through: int


class Paused(msgspec.Struct, array_like=True, tag=40, frozen=True, gc=False):
    """Somebody paused the run: nothing more of it starts."""

    at: float
    reason: str = ""


class TakenOver(msgspec.Struct, array_like=True, tag=42, frozen=True, gc=False):
    """The run began where another had come to: what stands between two of these was done by that one."""

    source: str
    at: float
    begins: bool
    """Whether that begins here, or ends."""


class Resumed(msgspec.Struct, array_like=True, tag=41, frozen=True, gc=False):
    """Somebody let a paused run go on."""

    at: float


Record = (
    Ended
    | RegionEnded
    | AttemptStarted
    | AttemptFailed
    | Readied
    | Slept
    | ChildStarted
    | CancelAsked
    | PhaseEntered
    | MapStarted
    | RescueBegan
    | ClockStarted
    | Waited
    | Armed
    | Disarmed
    | WaitBegan
    | EventTaken
    | EventCarried
    | Nudged
    | RoundEnded
    | Collected
    | Compacted
    | Paused
    | Resumed
    | TakenOver
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record], ext_hook=values.from_extension)


def encode(records: list[Record]) -> bytes:
    """Return a batch of records as one entry of the store."""
    return _encoder.encode(records)


def decode(data: bytes) -> list[Record]:
    """Return the records of a batch, in order.

    Raises:
        msgspec.DecodeError: if the bytes are none that a release up to this one wrote.
    """
    return _decoder.decode(data)
