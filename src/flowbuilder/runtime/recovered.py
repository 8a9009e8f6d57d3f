"""What a journal says of tasks that the run has not come to again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.rules import SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class EndedTask(msgspec.Struct, gc=False):
    """How a task ended, as its journal tells."""

    code: int
    output: Any = None
    error: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None
    reason: str | None = None
    attempts: int = 1
    started_at: float = 0.0
    ended_at: float = 0.0
    items: int | None = None
    place: int = 0
    """Where in the journal it stands: the greater, the later."""


class Recovered:
    """The facts of a journal by task path; each is taken out when the run comes to its task."""

    __slots__ = (
        "armed",
        "attempts",
        "began",
        "cancel",
        "children",
        "clocks",
        "ended",
        "got",
        "maps",
        "nudges",
        "phases",
        "place",
        "readied",
        "rescues",
        "sleeps",
        "starts",
        "taken",
        "waited",
        "waits",
    )

    def __init__(self) -> None:
        self.ended: dict[str, EndedTask] = {}
        self.armed: dict[str, int] = {}
        """Effects that may have begun and are not known to have failed, and where in the journal that stands."""
        self.attempts: dict[str, records.AttemptFailed] = {}
        """The last failed attempt of tasks that were to be tried again."""
        self.began: dict[str, float] = {}
        """When tasks began that have not ended, as far as that is known."""
        self.starts: dict[str, records.AttemptStarted] = {}
        """The last attempt that must not be made twice."""
        self.readied: dict[str, float] = {}
        self.rescues: dict[str, records.RescueBegan] = {}
        """Tasks that have failed for good, whose `on_error` tasks had begun."""
        self.sleeps: dict[str, records.Slept] = {}
        self.children: dict[str, str] = {}
        self.clocks: dict[tuple[str, int], float] = {}
        """When the time of an attempt began to run; with 0, that of all attempts."""
        self.maps: dict[str, int] = {}
        """How many elements the maps have that began."""
        self.waited: dict[str, records.Waited] = {}
        """What attempts wait for that have not begun."""
        self.phases: set[str] = set()
        """Handlers that had begun."""
        self.cancel: records.CancelAsked | None = None
        self.place = 0
        self.waits: dict[str, records.WaitBegan] = {}
        self.got: dict[tuple[str, int], list[records.EventTaken]] = {}
        """What attempts of waits have taken."""
        self.taken: list[tuple[int, float, bool]] = []
        """All that the run has taken: number, when it was emitted, whether it is a signal."""
        self.nudges: dict[tuple[str, int], list[records.Nudged]] = {}

    def forget_past_moments(self, now: float) -> None:
        """Forget moments of limits that have come: an attempt may have begun by them before a crash."""
        for path, waited in list(self.waited.items()):
            if waited.until is not None and waited.until <= now:
                del self.waited[path]


def replay(batches: Iterable[bytes], blob: Callable[[str], bytes]) -> Recovered:
    """Fold a journal into what it says of each task.

    Args:
        batches: the journal, oldest first.
        blob: returns a large output by its content hash.

    Raises:
        StoreCorrupt: if a large output is missing or damaged.
    """
    found = Recovered()
    ended = found.ended
    for batch in batches:
        for record in records.decode(batch):
            found.place += 1
            match record:
                case records.RegionEnded():
                    for path, output in zip(record.paths, record.outputs, strict=True):
                        ended[path] = EndedTask(
                            SUCCEEDED,
                            output,
                            started_at=record.started_at,
                            ended_at=record.ended_at,
                            place=found.place,
                        )
                case records.Ended():
                    ended[record.path] = _ended(record, found, blob)
                case records.AttemptStarted():
                    found.starts[record.path] = record
                case records.AttemptFailed():
                    found.attempts[record.path] = record
                    if record.started_at:
                        found.began[record.path] = record.started_at
                case records.Readied():
                    found.readied[record.path] = record.at
                case records.Slept():
                    found.sleeps[record.path] = record
                case records.ChildStarted():
                    found.children[record.path] = record.run_id
                    found.began.setdefault(record.path, record.at)
                case records.CancelAsked():
                    found.cancel = record
                case records.MapStarted():
                    found.maps[record.path] = record.count
                case records.RescueBegan():
                    found.rescues[record.path] = record
                    found.began[record.path] = record.started_at
                case records.ClockStarted():
                    found.clocks[record.path, record.attempt] = record.at
                    found.began.setdefault(record.path, record.at)
                case records.Waited():
                    if record.limit:
                        found.waited[record.path] = record
                    else:
                        found.waited.pop(record.path, None)
                case records.WaitBegan():
                    found.waits[record.path] = record
                    found.began.setdefault(record.path, record.at)
                case records.EventTaken():
                    found.got.setdefault((record.path, record.attempt), []).append(record)
                    found.taken.append((record.number, record.at, record.signal))
                case records.Nudged():
                    found.nudges.setdefault((record.path, record.attempt), []).append(record)
                case records.PhaseEntered():
                    found.phases.add(record.phase)
                case records.Armed():
                    found.armed[record.path] = found.place
                case records.Disarmed():
                    found.armed.pop(record.path, None)
    return found


def _ended(record: records.Ended, found: Recovered, blob: Callable[[str], bytes]) -> EndedTask:
    if record.count is not None and record.code == SUCCEEDED:
        output = _map_output(record, found.ended)
    else:
        output = values.decode(blob(record.blob) if record.blob is not None else record.output)
    return EndedTask(
        record.code,
        output,
        record.error,
        record.errors,
        record.reason,
        record.attempts,
        record.started_at,
        record.ended_at,
        record.count,
        found.place,
    )


def _map_output(record: records.Ended, ended: dict[str, EndedTask]) -> Any:
    """Put a map's output together from its elements' records."""
    if record.keys is None:
        paths = [f"{record.path}[{index}]" for index in range(record.count or 0)]
        return [ended[path].output for path in paths]
    return {key: ended[element_path(record.path, key)].output for key in record.keys}


def element_path(path: str, key: str | int) -> str:
    """Return the path of an element: `enrich[3]`, `enrich["de"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}[{msgspec.json.encode(key).decode()}]"
