"""The liveness invariant as one query."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.storage.liveness import Hold
from flowbuilder.storage.sqlite.query import all_rows, first_value
from flowbuilder.storage.sqlite.runs import LIVE_SQL

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from flowbuilder.storage.liveness import Holding

_LIVE: Final = f"r.{LIVE_SQL}"
_HOLDS: Final = f"""
SELECT r.id AS id, r.flow AS flow, r.status AS status, r.wake_at AS wake_at,
    CASE
        WHEN r.owner IN (SELECT value FROM json_each(?1)) THEN 'engine'
        WHEN r.owner IS NOT NULL THEN 'recovery'
        WHEN r.status = 'paused' THEN 'pause'
        WHEN r.status = 'queued' THEN 'queue'
        WHEN r.status = 'running' THEN 'ready'
        WHEN r.wake_at IS NOT NULL THEN 'timer'
        WHEN EXISTS (SELECT 1 FROM subscriptions s WHERE s.run_id = r.id) THEN 'subscription'
        WHEN EXISTS (SELECT 1 FROM runs c WHERE c.parent = r.id AND c.{LIVE_SQL}) THEN 'child'
        ELSE 'nothing'
    END AS holds
FROM runs r WHERE {_LIVE} AND r.status <> 'succeeded'
"""
_REVIVE: Final = (
    "UPDATE runs SET wake_at = 0.0 WHERE id IN (SELECT value FROM json_each(?)) "
    "AND owner IS NULL AND status = 'waiting' AND wake_at IS NULL"
)
_LEAKS: Final[dict[str, str]] = {
    name: f"SELECT count(*) FROM {name} x WHERE NOT EXISTS "
    f"(SELECT 1 FROM runs r WHERE r.id = x.run_id AND {_LIVE})"
    for name in ("subscriptions", "commands")
}
"""For each table with rows of live runs only, how many rows belong to none."""


class SqliteLiveness:
    """Passes `storage.liveness.Liveness`.

    Args:
        read: carries out a query on a connection for readers.
        write: carries out work within a transaction of the writer.
        alive: returns the ids of the engines that live.
    """

    def __init__(self, read: Any, write: Any, alive: Callable[[], list[str]]) -> None:
        self._read = read
        self._write = write
        self._alive = alive

    def holds(self, *, after: str = "", limit: int = 1000) -> list[Hold]:
        """Return live runs behind an id, oldest first, each with what it owns."""
        return self._listed(f"{_HOLDS} AND r.id > ?2 ORDER BY r.id LIMIT ?3", after, limit)

    def stuck(self, limit: int = 1000) -> list[Hold]:
        """Return live runs that own nothing, oldest first."""
        query = f"SELECT * FROM ({_HOLDS}) WHERE holds = 'nothing' ORDER BY id LIMIT ?2"
        return self._listed(query, limit)

    def counts(self) -> dict[Holding, int]:
        """Return how many live runs own what."""
        engines = json.dumps(self._alive())
        found = self._read(
            lambda cursor: list(
                all_rows(cursor, f"SELECT holds, count(*) FROM ({_HOLDS}) GROUP BY holds", (engines,))
            )
        )
        return dict(found)

    def revive(self, run_ids: list[str]) -> int:
        """Make runs due at once that own nothing."""

        def work(cursor: apsw.Cursor) -> int:
            cursor.execute(_REVIVE, (json.dumps(run_ids),))
            return cursor.connection.changes()

        revived: int = self._write(work)
        return revived

    def leaks(self) -> dict[str, int]:
        """Return how many rows belong to runs that have ended."""
        found = {
            name: self._read(lambda cursor, sql=sql: first_value(cursor, sql)) for name, sql in _LEAKS.items()
        }
        return {name: count for name, count in found.items() if count}

    def _listed(self, query: str, *values: Any) -> list[Hold]:
        engines = json.dumps(self._alive())
        rows = self._read(lambda cursor: list(all_rows(cursor, query, (engines, *values))))
        return [Hold(id, flow, status, holds, wake_at) for id, flow, status, wake_at, holds in rows]
