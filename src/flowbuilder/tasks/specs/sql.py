"""`sql`: queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import TEXT, described, with_

if TYPE_CHECKING:
    from flowbuilder.core.policies import Effect

FETCH: Final = ("all", "one", "value", "none", "many", "arrow")
MOST_ROWS: Final = 100_000


def _effect(params: Mapping[str, Any]) -> Effect:
    from flowbuilder.core.sql import effect_of  # start-up time: few flows ask a database

    query = params.get("query")
    return effect_of(query) if isinstance(query, str) else "write"


SQL: Final = TaskSpec(
    name="sql",
    summary="Asks a database: SQLite, PostgreSQL, MySQL, DuckDB.",
    params=with_(
        {
            "connection": described(
                TEXT, "One of the flow's `connections`, or a URL such as `sqlite:///shop.db`.", minLength=1
            ),
            "query": described(
                TEXT,
                "One statement or several, in one transaction; values come in by `params`.",
                minLength=1,
            ),
            "params": {
                "type": ["object", "array", "string"],
                "description": "Values for `:name`, or in order for `?`. They are bound, never written into the text. "
                "A list in `IN (:ids)` stands for its elements.",
            },
            "fetch": {
                "enum": list(FETCH),
                "default": "all",
                "description": "`all`: `{rows, columns, row_count}` of the last statement. `one`: its first row, or "
                "null. `value`: the first value of that. `none`: `{row_count}`. `many`: what each statement "
                "gives, as a list. `arrow`: an Arrow table, kept beside the journal.",
            },
            "transaction": {
                "type": "boolean",
                "default": True,
                "description": "Whether all statements count or none; false for what a transaction forbids.",
            },
            "max_rows": {
                "type": "integer",
                "minimum": 1,
                "default": MOST_ROWS,
                "description": "A result of more rows fails with `sql.rows`; holds for all but `arrow`.",
            },
            "decimals": {
                "enum": ["number", "text"],
                "default": "number",
                "description": "What decimals become: numbers (those that no number can hold stay text), or texts.",
            },
        },
        required=("connection", "query"),
    ),
    output={},
    effect="write",
    effect_of=_effect,
    roles={"connection": ("secret",), "query": ("literal",)},
    connects=("sqlite", "postgres", "mysql", "duckdb"),
    icon="database",
)
