"""What tasks wrote: so much of each task of a run is kept, the oldest lines dropped and that said."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowbuilder.storage.api import LOG_BYTES, Log
from flowbuilder.storage.sqlite.bulk import Bulk
from flowbuilder.storage.sqlite.query import all_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

_ROOM = 10
"""The part of the limit (a tenth) that is dropped beyond what must be, so that not each line drops another."""
_LINE_BYTES = 64
"""What a line costs beside its text."""

_TOO_LONG = (
    "SELECT run_id, task, bytes FROM log_sizes INDEXED BY log_sizes_to_trim "
    f"WHERE bytes > {LOG_BYTES} AND bytes > ?"
)
"""Finds at once what is over the usual limit, or a higher one."""
_SIZE = "SELECT run_id, task, bytes FROM log_sizes WHERE run_id = ? AND task = ? AND bytes > ?"

_insert = Bulk("INSERT INTO logs (run_id, task, at, level, message, data) VALUES ", 6)
_count = Bulk(
    "INSERT INTO log_sizes (run_id, task, bytes) VALUES ",
    3,
    " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
)


def append(cursor: apsw.Cursor, lines: Sequence[Log], kept: int = LOG_BYTES) -> None:
    """Add lines; drops the oldest of tasks that have written too much."""
    sizes: Counter[tuple[str, str]] = Counter()
    rows = []
    for line in lines:
        rows.append((line.run_id, line.task, line.at, line.level, line.message, line.data))
        sizes[line.run_id, line.task] += _size(line.message, line.data)
    _insert.execute(cursor, rows)
    _count.execute(cursor, [(run_id, task, size) for (run_id, task), size in sizes.items()])
    if kept >= LOG_BYTES:
        too_long = all_rows(cursor, _TOO_LONG, (kept,))
    else:
        too_long = [row for of in sizes for row in all_rows(cursor, _SIZE, (*of, kept))]
    for run_id, task, size in too_long:
        _trim(cursor, run_id, task, size - kept + kept // _ROOM)


def read(cursor: apsw.Cursor, run_id: str, task: str | None, after: int) -> list[tuple[int, Log]]:
    """Return lines in order; one of ours stands where older ones were dropped."""
    of_task = "" if task is None else " AND task = ?2"
    values = (run_id, task, after)
    lines = [
        (number, Log(run_id, name, at, level, message, data))
        for number, name, at, level, message, data in all_rows(
            cursor,
            "SELECT number, task, at, level, message, data FROM logs "
            f"WHERE run_id = ?1{of_task} AND number > ?3 ORDER BY number",
            values,
        )
    ]
    for name, count, last in all_rows(
        cursor,
        "SELECT task, dropped, dropped_to FROM log_sizes "
        f"WHERE run_id = ?1{of_task} AND dropped > 0 AND dropped_to > ?3",
        values,
    ):
        lines.append((last, _notice(run_id, name, count, lines)))
    lines.sort(key=lambda line: line[0])
    return lines


def _notice(run_id: str, task: str, count: int, lines: list[tuple[int, Log]]) -> Log:
    at = next((line.at for _, line in lines if line.task == task), 0.0)
    message = f"{count:,} earlier lines were dropped: only the end of a long log is kept (limits.log_bytes)"
    return Log(run_id, task, at, "warning", message)


def _size(message: str, data: bytes | None) -> int:
    return len(message) + len(data or b"") + _LINE_BYTES


def _trim(cursor: apsw.Cursor, run_id: str, task: str, surplus: int) -> None:
    freed = count = last = 0
    for number, length in all_rows(
        cursor,
        "SELECT number, length(message) + ifnull(length(data), 0) FROM logs "
        "WHERE run_id = ? AND task = ? ORDER BY number",
        (run_id, task),
    ):
        freed += length + _LINE_BYTES
        count += 1
        last = number
        if freed >= surplus:
            break
    cursor.execute("DELETE FROM logs WHERE run_id = ? AND task = ? AND number <= ?", (run_id, task, last))
    cursor.execute(
        "UPDATE log_sizes SET bytes = bytes - ?, dropped = dropped + ?, dropped_to = ? "
        "WHERE run_id = ? AND task = ?",
        (freed, count, last, run_id, task),
    )
