"""The statements of a query as they are carried out, and what a failure among them means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, overload

from flowbuilder.core.errors import TaskFailed

if TYPE_CHECKING:
    from flowbuilder.core.sql import Dialect
    from flowbuilder.tasks.databases.base import Ask, Bound

_COMMITTING: Final = frozenset(
    {
        "ALTER",
        "ANALYZE",
        "CREATE",
        "DROP",
        "FLUSH",
        "GRANT",
        "LOCK",
        "OPTIMIZE",
        "RENAME",
        "REVOKE",
        "TRUNCATE",
    }
)
"""Statements with which MySQL ends a transaction, and keeps what was done in it."""
_AFTERWARDS: Final = frozenset({"sql.rows"})
"""Failures of a statement that has been carried out."""


class Steps(Sequence["Bound"]):
    """Statements; whoever goes through them is followed, so that it is known where he failed."""

    def __init__(self, statements: Sequence[Bound], ask: Ask, dialect: Dialect) -> None:
        self._statements = statements
        self._ask = ask
        self._dialect = dialect
        self._number = 0

    @overload
    def __getitem__(self, index: int) -> Bound: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Bound]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._statements[index]

    def __len__(self) -> int:
        return len(self._statements)

    def __iter__(self) -> Iterator[Bound]:
        for number, statement in enumerate(self._statements):
            self._number = number
            yield statement

    def told(self, error: TaskFailed) -> TaskFailed:
        """Return a failure with where in the query it happened, and whether something is done all the same."""
        statement = self._statements[self._number]
        data = dict(error.data) if isinstance(error.data, dict) else {}
        before = statement.text[: max(0, data.pop("position", 1) - 1)]
        line = statement.line + before.count("\n")
        where = []
        if len(self) > 1:
            data["statement"] = self._number + 1
            where.append(f"statement {self._number + 1} of {len(self)}")
        if line > 1:
            data["line"] = line
            where.append(f"line {line}")
        message = f"{', '.join(where)}: {error.message}" if where else error.message
        return TaskFailed(error.kind, message, data or None, in_doubt=error.in_doubt or self._keeps(error))

    def _keeps(self, error: TaskFailed) -> bool:
        """Tell whether the database keeps something of what was carried out so far."""
        if self._ask.only_reads:
            return False
        if not self._ask.transaction:
            return self._number > 0 or error.kind in _AFTERWARDS
        so_far = self._statements[: self._number + 1]
        return self._dialect == "mysql" and self._number > 0 and any(s.word in _COMMITTING for s in so_far)
