"""Runs that wait for each other, as rows: see `storage.lanes`, which decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.storage import lanes
from flowbuilder.storage.api import Accept, Append
from flowbuilder.storage.lanes import LaneState, Queued
from flowbuilder.storage.sqlite import commands, labels, runs
from flowbuilder.storage.sqlite.group import Group
from flowbuilder.storage.sqlite.query import all_rows, first_row, first_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import apsw

    from flowbuilder.storage.api import RunRow
    from flowbuilder.storage.lanes import Enter, Entered, Hold

TABLES = """
ALTER TABLE runs ADD COLUMN lane TEXT;
CREATE INDEX runs_in_lanes ON runs (lane, status, priority DESC, id)
    WHERE lane IS NOT NULL AND ended_at IS NULL;
CREATE INDEX runs_kept_in_lanes ON runs (lane, owner, priority DESC, id)
    WHERE lane IS NOT NULL AND owner IS NOT NULL AND status = 'queued';
CREATE INDEX runs_unowned ON runs (id)
    WHERE owner IS NULL AND status IN ('queued', 'running') AND (lane IS NULL OR status <> 'queued');
"""

NOT_QUEUED_SQL = "(lane IS NULL OR status <> 'queued')"
"""Holds of runs that wait for no place."""
_LIVE = "lane IS NOT NULL AND ended_at IS NULL"
_KEPT = "lane = ?1 AND status = 'queued' AND owner IS NOT NULL AND lane IS NOT NULL"
_QUEUED = f"lane = ?1 AND status = 'queued' AND {_LIVE}"
_HELD = f"lane = ?1 AND status = 'waiting' AND {_LIVE} AND started_at IS NULL AND owner IS NULL"
# One status at a time, so that each walks the index and none goes past those that are queued.
_PLACED = tuple(
    f"lane = ?1 AND status = '{status}' AND {_LIVE} AND started_at IS NOT NULL"
    for status in ("running", "waiting", "paused")
)
_COUNT_PLACED = f"SELECT {' + '.join(f'(SELECT count(*) FROM runs WHERE {where})' for where in _PLACED)}"


class SqliteBook:
    """Passes `storage.lanes.Book`."""

    def __init__(self, cursor: apsw.Cursor, alive: Callable[[str], bool]) -> None:
        self._cursor = cursor
        self.alive = alive

    def by_key(self, flow: str, key: str) -> RunRow | None:
        """Return the run that has a key."""
        return runs.find_by_key(self._cursor, flow, key)

    def find(self, run_id: str) -> RunRow | None:
        """Return a run by its whole id."""
        found = first_row(self._cursor, f"SELECT {runs.COLUMNS} FROM runs WHERE id = ?", (run_id,))
        return runs.as_row(found) if found else None

    def count_placed(self, lane: str) -> int:
        """Return how many runs have a place."""
        return int(first_value(self._cursor, _COUNT_PLACED, (lane,)) or 0)

    def count_queued(self, lane: str) -> int:
        """Return how many runs are queued."""
        return int(first_value(self._cursor, f"SELECT count(*) FROM runs WHERE {_QUEUED}", (lane,)) or 0)

    def placed(self, lane: str, most: int) -> list[RunRow]:
        """Return runs that have a place, the oldest first."""
        found = [
            row for where in _PLACED for row in self._rows(f"{where} ORDER BY id LIMIT ?2", (lane, most))
        ]
        return sorted(found, key=lambda row: row.id)[:most]

    def any_queued(self, lane: str) -> bool:
        """Tell whether a run is queued: one look into the index, at no row."""
        return first_value(self._cursor, f"SELECT 1 FROM runs WHERE {_QUEUED} LIMIT 1", (lane,)) is not None

    def queued(self, lane: str, most: int) -> list[RunRow]:
        """Return runs that are queued, whose turn comes first in front."""
        return self._rows(f"{_QUEUED} ORDER BY priority DESC, id LIMIT ?2", (lane, most))

    def owners_of_queued(self, lane: str) -> list[str]:
        """Return the engines that keep queued runs for themselves; each is one step down the index."""
        following = f"SELECT min(owner) FROM runs INDEXED BY runs_kept_in_lanes WHERE {_KEPT} AND owner > ?2"
        owners: list[str] = []
        while owner := first_value(self._cursor, following, (lane, owners[-1] if owners else "")):
            owners.append(owner)
        return owners

    def queued_of(self, lane: str, owner: str, most: int) -> list[RunRow]:
        """Return queued runs that an engine keeps for itself, whose turn comes first in front."""
        where = f"{_KEPT} AND owner = ?2 ORDER BY priority DESC, id LIMIT ?3"
        return self._rows(where, (lane, owner, most))

    def held(self, lane: str) -> RunRow | None:
        """Return the start that is held in a lane."""
        found = self._rows(f"{_HELD} LIMIT 1", (lane,))
        return found[0] if found else None

    def add(self, row: RunRow, batch: bytes | None) -> None:
        """Add a run, with how its journal begins."""
        group = Group()
        group.add([Accept(row)] if batch is None else [Accept(row), Append(row.id, 0, batch)])
        rows, keyed, _ = group.melt()
        runs.insert(self._cursor, rows + keyed)
        labels.add(self._cursor, group.labels)

    def change(self, run_id: str, changes: Mapping[str, Any]) -> None:
        """Give a run other values."""
        runs.update(self._cursor, {run_id: changes})

    def ask(self, run_id: str, kind: str, payload: bytes) -> None:
        """Leave a command for the owner of a run."""
        commands.send(self._cursor, run_id, kind, payload)

    def _rows(self, where: str, values: tuple[Any, ...]) -> list[RunRow]:
        found = all_rows(self._cursor, f"SELECT {runs.COLUMNS} FROM runs WHERE {where}", values)
        return [runs.as_row(columns) for columns in found]


class SqliteLanes:
    """Passes `storage.lanes.Lanes`.

    Args:
        read: carries out a query on a connection for readers.
        write: carries out work within a transaction of the writer, and returns when it is durable.
        alive: tells whether an engine lives.
        ring: wakes the owners of runs that have commands; all engines for None.
        engine: who asks; None for a reader.
    """

    def __init__(
        self,
        read: Any,
        write: Any,
        alive: Callable[[str], bool],
        ring: Callable[[str | None], None],
        engine: str | None,
    ) -> None:
        self._read = read
        self._write = write
        self._alive = alive
        self._ring = ring
        self._engine = engine

    def enter(self, entries: Sequence[Enter], now: float) -> list[Entered]:
        """Take runs in, each as its policy says."""
        return self._told(self._write(lambda cursor: lanes.enter(self._book(cursor), entries, now)))

    def hold(self, entries: Sequence[Hold], now: float) -> list[Entered]:
        """Take starts in that wait; each takes the place of one that waits in its lane."""
        return self._told(self._write(lambda cursor: lanes.hold(self._book(cursor), entries, now)))

    def take(self, of: Mapping[str, int], now: float, *, adopts: bool, most: int = 1000) -> list[RunRow]:
        """Give places that are free to those queued, most urgent first, and return the runs that are ours."""
        engine = self._engine
        assert engine is not None, "a reader begins no run"
        there = self._read(lambda cursor: _with_room(self._book(cursor), of))
        if not there:
            return []

        def work(cursor: apsw.Cursor) -> list[RunRow]:
            return lanes.take(self._book(cursor), there, now, engine=engine, adopts=adopts, most=most)

        taken: list[RunRow] = self._write(work)
        return taken

    def cancel(self, run_id: str, now: float, reason: str) -> RunRow | None:
        """End a run that has not begun, `cancelled`."""
        ended: RunRow | None = self._write(
            lambda cursor: lanes.cancel(self._book(cursor), run_id, now, reason)
        )
        return ended

    def queued(self, most: int = 1000, after: str = "") -> list[Queued]:
        """List lanes in which runs are queued, in the order of their names, behind `after`."""
        found: list[Queued] = self._read(
            lambda cursor: list(_queued(self._book(cursor), cursor, most, after))
        )
        return found

    def count(self, lane: str) -> tuple[int, int]:
        """Return how many runs of a lane have a place, and how many are queued."""

        def look(cursor: apsw.Cursor) -> tuple[int, int]:
            book = self._book(cursor)
            return book.count_placed(lane), book.count_queued(lane)

        counts: tuple[int, int] = self._read(look)
        return counts

    def states(self, most: int = 1000) -> list[LaneState]:
        """List lanes with live runs, as they stand."""

        def look(cursor: apsw.Cursor) -> Iterable[LaneState]:
            book = self._book(cursor)
            for lane in _lanes(cursor, most):
                first = book.queued(lane, 1) or book.placed(lane, 1) or _one(book.held(lane))
                if first:
                    yield LaneState(lane, book.count_placed(lane), book.count_queued(lane), first[0])

        found: Sequence[LaneState] = self._read(lambda cursor: [*look(cursor)])
        return [*found]

    def _book(self, cursor: apsw.Cursor) -> SqliteBook:
        return SqliteBook(cursor, self._alive)

    def _told(self, entered: list[Entered]) -> list[Entered]:
        for owner in {owner for each in entered for _, owner in each.asked}:
            self._ring(owner)
        return entered


def _with_room(book: SqliteBook, of: Mapping[str, int]) -> dict[str, int]:
    """Return those lanes that have places, and somebody who waits for one."""
    return {
        lane: limit for lane, limit in of.items() if book.any_queued(lane) and book.count_placed(lane) < limit
    }


def _queued(book: SqliteBook, cursor: apsw.Cursor, most: int, after: str) -> Iterable[Queued]:
    """Yield lanes with queued runs."""
    for lane in _lanes(cursor, most, "AND status = 'queued'", after):
        first = book.queued(lane, 1)
        if first:
            yield Queued(lane, first[0])


def _lanes(cursor: apsw.Cursor, most: int, which: str = "", lane: str = "") -> Iterable[str]:
    """Yield lanes with live runs; each is found by one step down the index, however many runs it has."""
    following = f"SELECT min(lane) FROM runs WHERE lane > ? AND {_LIVE} {which}"
    while most > 0 and (lane := first_value(cursor, following, (lane,)) or ""):
        yield lane
        most -= 1


def _one(row: RunRow | None) -> list[RunRow]:
    return [] if row is None else [row]
