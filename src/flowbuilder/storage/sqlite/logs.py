"""What tasks wrote: so much of each task of a run is kept, the oldest lines are dropped and that is said."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowbuilder.storage.api import Log
from flowbuilder.storage.sqlite.bulk import Bulk
from flowbuilder.storage.sqlite.query import all_rows, first_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

_LINE_BYTES = 64
"""What a line costs beside its text."""

_insert = Bulk("INSERT INTO logs (run_id, task, at, level, message, data) VALUES ", 6)
_count = Bulk(
    "INSERT INTO log_sizes (run_id, task, bytes) VALUES ",
    3,
    " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
)


def append(cursor: apsw.Cursor, lines: Sequence[Log], most: int) -> None:
    """Add lines; drops the oldest of tasks that have written more than `most` bytes.

    A tenth more is dropped than must be, so that not each line drops another.
    """
    sizes: Counter[tuple[str, str]] = Counter()
    rows = []
    for line in lines:
        rows.append((line.run_id, line.task, line.at, line.level, line.message, line.data))
        sizes[line.run_id, line.task] += _size(line.message, line.data)
    _insert.execute(cursor, rows)
    _count.execute(cursor, [(run_id, task, size) for (run_id, task), size in sizes.items()])
    for run_id, task in sizes:
        size = first_value(
            cursor, "SELECT bytes FROM log_sizes WHERE run_id = ? AND task = ?", (run_id, task)
        )
        if size > most:
            _trim(cursor, run_id, task, size - most + most // 10)


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
    message = f"{count:,} earlier lines were dropped: the log was longer than `limits.log_bytes`"
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
