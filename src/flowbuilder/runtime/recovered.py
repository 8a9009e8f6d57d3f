"""What a journal says of tasks that the run has not come to again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.errors import StoreCorrupt
from flowbuilder.core.rounds import round_path
from flowbuilder.core.rules import SUCCEEDED
from flowbuilder.core.sealed import Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Open = Callable[[str, Sealed], Any]
    """Returns what is sealed, by the path that it belongs to."""


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


class Rounds:
    """What a journal says of a loop."""

    __slots__ = ("_collected", "began_at", "next_at", "output", "recent", "round", "values")

    def __init__(self) -> None:
        self.round = 0
        """How many have ended well."""
        self.next_at = self.began_at = 0.0
        self.output: Any = None
        """Of the last round."""
        self.values: list[Any] = []
        """What was collected."""
        self.recent: list[tuple[records.RoundEnded, int]] = []
        """Those whose records are there, each with its place in the journal."""
        self._collected: list[records.Collected] = []

    def add(self, record: records.RoundEnded, place: int) -> None:
        """Take in the end of a round."""
        self.round, self.next_at, self.began_at = record.round, record.next_at, record.began_at
        self.recent.append((record, place))

    def collect(self, record: records.Collected) -> None:
        """Take in what some rounds gave to the list."""
        self._collected.append(record)

    def complete(self, blob: Callable[[str], bytes], open: Open | None = None) -> None:
        """Decode what the next round rests on."""
        if self.recent:
            self.output = output_of(self.recent[-1][0], blob, open)
        for record in self._collected:
            part = output_of(record, blob, open)
            self.values += part if type(part) is list else [part]  # what stays sealed is one value
        self._collected.clear()


def output_of(
    record: records.RoundEnded | records.Collected, blob: Callable[[str], bytes], open: Open | None = None
) -> Any:
    """Return the value of a record that may lie in the blob store, and may be sealed."""
    value = values.decode(blob(record.blob) if record.blob is not None else record.output)
    if open is not None and type(value) is Sealed:
        return open(round_path(record.path, record.round), value)
    return value


class Recovered:
    """The facts of a journal by task path; each is taken out when the run comes to its task."""

    __slots__ = (
        "admitted",
        "armed",
        "attempts",
        "began",
        "blob",
        "cancel",
        "carried",
        "children",
        "clocks",
        "compacted",
        "doubted",
        "ended",
        "got",
        "maps",
        "nudges",
        "open",
        "pauses",
        "phases",
        "place",
        "readied",
        "rescues",
        "rounds",
        "sizes",
        "sleeps",
        "starts",
        "taken",
        "taken_over",
        "waited",
        "waits",
    )

    def __init__(self) -> None:
        self.ended: dict[str, EndedTask] = {}
        self.armed: dict[str, int] = {}
        """Effects that may have begun and are not known to have failed, and where in the journal that stands."""
        self.doubted: set[str] = set()
        """Effects of which an attempt has failed, and it is not known what it did."""
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
        self.admitted: dict[str, int] = {}
        """Attempts of groups and sub-flows that have passed their limits."""
        self.phases: set[str] = set()
        """Handlers that had begun."""
        self.cancel: records.CancelAsked | None = None
        """The first one: a run is cancelled once."""
        self.place = 0
        self.waits: dict[str, records.WaitBegan] = {}
        self.got: dict[tuple[str, int], list[records.EventTaken]] = {}
        """What attempts of waits have taken."""
        self.taken: list[tuple[int, float, bool]] = []
        """All that the run has taken: number, when it was emitted, whether it is a signal."""
        self.carried: dict[tuple[str, int], list[records.EventCarried]] = {}
        """What waits have not looked at that came before the run did."""
        self.nudges: dict[tuple[str, int], list[records.Nudged]] = {}
        self.rounds: dict[str, Rounds] = {}
        """Of each loop that had ended a round."""
        self.blob: Callable[[str], bytes] = _no_blob
        """Returns a large output by its content hash."""
        self.open: Open | None = None
        self.compacted = 0
        """How many batches the first one stands for, besides itself."""
        self.sizes = (0, 0)
        """Bytes of the first batch if it stands for others, and of all others."""
        self.taken_over: set[str] = set()
        """What was taken over from another run, which did it."""
        self.pauses: list[tuple[records.Paused, float | None]] = []
        """Each with the moment when the run went on; None for one that it is in."""

    @property
    def paused(self) -> records.Paused | None:
        """The pause that the run is in."""
        return self.pauses[-1][0] if self.pauses and self.pauses[-1][1] is None else None

    def go_on(self, at: float) -> None:
        """End the pause that the run is in, if it is in one."""
        if self.paused is not None:
            self.pauses[-1] = (self.pauses[-1][0], at)

    def forget_past_moments(self, now: float) -> None:
        """Forget moments of limits that have come: an attempt may have begun by them before a crash."""
        for path, waited in list(self.waited.items()):
            if waited.until is not None and waited.until <= now:
                del self.waited[path]


def _no_blob(content_hash: str) -> bytes:
    raise StoreCorrupt(f"there is no blob {content_hash}")


def replay(
    batches: Iterable[bytes],
    blob: Callable[[str], bytes],
    open: Open | None = None,
) -> Recovered:
    """Fold a journal into what it says of each task.

    Args:
        batches: the journal, oldest first.
        blob: returns a large output by its content hash.
        open: returns what is sealed, by the path that it is the output of; without it, it stays sealed.

    Raises:
        StoreCorrupt: if a large output is missing or damaged.
    """
    found = Recovered()
    found.blob, found.open = blob, open
    ended = found.ended
    taking = False
    for batch in batches:
        found.sizes = (found.sizes[0], found.sizes[1] + len(batch))
        for record in records.decode(batch):
            found.place += 1
            if taking:
                found.taken_over.update(paths_of(record))
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
                    ended[record.path] = _ended(record, found, blob, open)
                case records.AttemptStarted():
                    found.starts[record.path] = record
                case records.AttemptFailed():
                    found.attempts[record.path] = record
                    if record.path in found.armed:
                        found.doubted.add(record.path)
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
                    found.cancel = found.cancel or record
                    found.go_on(record.at)
                case records.Paused():
                    if found.paused is None:
                        found.pauses.append((record, None))
                case records.Resumed():
                    found.go_on(record.at)
                case records.TakenOver():
                    taking = record.begins
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
                        found.admitted[record.path] = record.attempt
                case records.WaitBegan():
                    found.waits[record.path] = record
                    found.began.setdefault(record.path, record.at)
                case records.EventTaken():
                    found.got.setdefault((record.path, record.attempt), []).append(record)
                    found.taken.append((record.number, record.at, record.signal))
                case records.EventCarried():
                    found.carried.setdefault((record.path, record.attempt), []).append(record)
                case records.Nudged():
                    found.nudges.setdefault((record.path, record.attempt), []).append(record)
                case records.PhaseEntered():
                    found.phases.add(record.phase)
                case records.Armed():
                    found.armed[record.path] = found.place
                case records.Disarmed():
                    found.armed.pop(record.path, None)
                    found.doubted.discard(record.path)
                case records.RoundEnded():
                    _round_ended(found, record)
                case records.Collected():
                    found.rounds.setdefault(record.path, Rounds()).collect(record)
                case records.Compacted():
                    found.compacted = record.through
                    found.sizes = (len(batch), 0)
    for path, rounds in found.rounds.items():
        if path not in ended:
            rounds.complete(blob, open)
    return found


def _round_ended(found: Recovered, record: records.RoundEnded) -> None:
    """Take in the end of a round: what its attempts left behind means nothing to the next."""
    path = round_path(record.path, record.round)
    for facts in (
        found.attempts,
        found.starts,
        found.sleeps,
        found.children,
        found.readied,
        found.waited,
        found.admitted,
    ):
        facts.pop(path, None)
    found.rounds.setdefault(record.path, Rounds()).add(record, found.place)
    found.began[record.path] = record.began_at


def _ended(
    record: records.Ended,
    found: Recovered,
    blob: Callable[[str], bytes],
    open: Open | None,
) -> EndedTask:
    if record.count is not None and record.code == SUCCEEDED:
        output = _map_output(record, found.ended, blob, open)
    else:
        output = values.decode(blob(record.blob) if record.blob is not None else record.output)
        if open is not None and type(output) is Sealed:
            output = open(record.path, output)
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


def _map_output(
    record: records.Ended, ended: dict[str, EndedTask], blob: Callable[[str], bytes], open: Open | None
) -> Any:
    """Put a map's output together from its elements' records; keys that are sensitive are its own output."""
    if record.keys is None:
        paths = [f"{record.path}[{index}]" for index in range(record.count or 0)]
        outputs = [ended[path].output for path in paths]
        keys = values.decode(blob(record.blob) if record.blob is not None else record.output)
        if type(keys) is not Sealed or open is None:
            return outputs
        return dict(zip(open(record.path, keys), outputs, strict=True))
    return {key: ended[element_path(record.path, key)].output for key in record.keys}


def element_path(path: str, key: str | int) -> str:
    """Return the path of an element: `enrich[3]`, `enrich["de"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}[{msgspec.json.encode(key).decode()}]"


def paths_of(record: records.Record) -> tuple[str, ...]:
    """Return the paths of what has ended by a record."""
    match record:
        case records.RegionEnded():
            return record.paths
        case records.Ended():
            return (record.path,)
        case _:
            return ()
