"""Many rows in one statement.

A statement releases the interpreter's lock once, however many rows it
inserts, and a thread that gives the lock away beside a busy loop may wait
milliseconds to get it back: so rows go in by the hundred.  The sizes are few,
so that the prepared statements stay few, and any number of rows is two or
three of them.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

SIZES = (400, 256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)


class Bulk:
    """A statement over rows: `head`, then `(?, …)` for each row, then `tail`."""

    __slots__ = ("_head", "_row", "_statements", "_tail")

    def __init__(self, head: str, columns: int, tail: str = "") -> None:
        self._head = head
        self._row = "(" + ",".join("?" * columns) + ")"
        self._tail = tail
        self._statements: dict[int, str] = {}

    def execute(self, cursor: apsw.Cursor, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run the statement over all rows, in order."""
        count = len(rows)
        if count == 1:
            cursor.execute(self._statement(1), rows[0])
            return
        start = 0
        for size in SIZES:
            while count - start >= size:
                part = rows[start : start + size]
                cursor.execute(self._statement(size), tuple(chain.from_iterable(part)))
                start += size
            if start == count:
                return

    def fits_one(self, count: int) -> bool:
        """Say whether so many rows are one statement, which needs no transaction around it."""
        return count in SIZES

    def _statement(self, size: int) -> str:
        statement = self._statements.get(size)
        if statement is None:
            statement = self._head + ",".join([self._row] * size) + self._tail
            self._statements[size] = statement
        return statement
