"""A query and its parameters, made ready for a driver.  A value never becomes a part of the text."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.sql import Dialect, Statement, Token, first_word, split
from flowbuilder.tasks.databases.base import Bound
from flowbuilder.tasks.params import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_NONE: Final = "SELECT NULL FROM (SELECT 1 AS fb) AS fb WHERE 1 = 0"
"""What stands in `IN ()` for an empty list: all but PostgreSQL take it, and nothing is in it."""
_TRANSACTIONS: Final = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "START", "END", "ABORT"})


def bind(
    query: str,
    params: Mapping[str, Any] | list[Any] | None,
    dialect: Dialect,
    style: str,
    *,
    transaction: bool,
) -> list[Bound]:
    """Return the statements of a query, each with the values that it asks for.

    Args:
        query: one statement, or several.
        params: by name for `:name`, in order for `?`.
        dialect: of the database.
        style: how the driver wants places written.
        transaction: whether the statements stand in a transaction of ours.

    Raises:
        TaskFailed: `input`, if what is asked for is not given, or the other way round.
    """
    statements = split(query, dialect)
    if not statements:
        raise TaskFailed("input", "'query' has no statement in it")
    for statement in statements:
        if transaction and first_word(statement) in _TRANSACTIONS:
            word = first_word(statement)
            raise TaskFailed(
                "input", f"'query': leave out {word}: all statements of a task are one transaction already"
            )
    binding = _Binding(params, style, dialect)
    bound, place = [], 0
    for statement in statements:
        place = query.index("".join(token.text for token in statement), place)
        line = query.count("\n", 0, place) + 1
        bound.append(msgspec.structs.replace(binding.statement(statement), line=line))
    binding.check_unused()
    return bound


class _Binding:
    """Gives out the values of one query."""

    def __init__(self, params: Mapping[str, Any] | list[Any] | None, style: str, dialect: Dialect) -> None:
        self._named = params if isinstance(params, dict) else None
        self._listed = params if isinstance(params, list) else None
        self._style = style
        self._dialect = dialect
        self._next = 0
        self._used: set[str] = set()

    def statement(self, statement: Statement) -> Bound:
        """Return one statement with its values."""
        parts: list[str] = []
        values: list[Any] = []
        places: dict[str, int] = {}
        for number, token in enumerate(statement):
            if token.kind == "native":
                raise TaskFailed("input", f"'query': write ':name' or '?' in place of '{token.text}'")
            if not self._is_parameter(token):
                parts.append(token.text)
                continue
            name = token.text[1:]
            value = self._value(name)
            if value == [] and self._dialect == "postgres" and _in_brackets(statement, number):
                _in_nothing(parts)
            elif type(value) is list and _in_brackets(statement, number):
                parts.append(", ".join([self._place(values, each) for each in value]) or _NONE)
            elif name and self._style == "numeric":
                if name not in places:
                    self._place(values, value)
                    places[name] = len(values)
                parts.append(f"${places[name]}")
            else:
                parts.append(self._place(values, value))
        if self._style == "pyformat" and values:
            parts = [part if part.startswith("%s") else part.replace("%", "%%") for part in parts]
        return Bound("".join(parts), values, first_word(statement))

    def _is_parameter(self, token: Token) -> bool:
        if token.kind == "named":
            return True
        # without a list of values `?` is an operator: PostgreSQL asks JSON with it
        return token.kind == "mark" and (self._listed is not None or self._dialect != "postgres")

    def _place(self, values: list[Any], value: Any) -> str:
        values.append(value)
        if self._style == "numeric":
            return f"${len(values)}"
        return "?" if self._style == "qmark" else "%s"

    def _value(self, name: str) -> Any:
        if name:
            if self._named is None:
                raise TaskFailed(
                    "input", f"'query' asks for ':{name}', and 'params' is no mapping with '{name}'"
                )
            if name not in self._named:
                near = difflib.get_close_matches(name, list(self._named), 1)
                hint = f"; did you mean ':{near[0]}'?" if near else ""
                raise TaskFailed("input", f"'query' asks for ':{name}', which 'params' has not{hint}")
            self._used.add(name)
            return self._named[name]
        if self._listed is None:
            raise TaskFailed("input", "'query' has a '?', and 'params' is no list")
        if self._next >= len(self._listed):
            raise TaskFailed("input", f"'query' has more '?' than 'params' has values ({len(self._listed)})")
        self._next += 1
        return self._listed[self._next - 1]

    def check_unused(self) -> None:
        """Refuse values that nothing asked for: mostly a name was mistyped."""
        if self._listed is not None and self._next < len(self._listed):
            raise TaskFailed(
                "input", f"'params' has {len(self._listed)} values, and 'query' {self._next} '?'"
            )
        unused = [name for name in self._named or () if name not in self._used]
        if unused:
            listed = ", ".join(f"':{name[:60]}'" for name in unused[:5])
            raise TaskFailed("input", f"'params' has what 'query' does not ask for: {listed}")


def _in_nothing(parts: list[str]) -> None:
    """Write `IN (` of an empty list so that PostgreSQL need not know of which type its elements would be."""
    word = max(place for place, part in enumerate(parts) if part.upper() == "IN")
    before = next((place for place in range(word - 1, -1, -1) if parts[place].strip()), -1)
    negated = before >= 0 and parts[before].upper() == "NOT"
    if negated:
        parts[before] = ""
    parts[word] = "<> ALL" if negated else "= ANY"
    parts.append("'{}'")


def _in_brackets(statement: Statement, number: int) -> bool:
    """Tell whether a parameter stands alone in the brackets of an `IN`."""
    before = [token for token in statement[:number] if token.kind != "space"][-2:]
    after = next((token for token in statement[number + 1 :] if token.kind != "space"), None)
    return (
        len(before) == 2
        and before[0].text.upper() == "IN"
        and before[1].text == "("
        and after is not None
        and after.text == ")"
    )


def params_of(params: Any) -> Mapping[str, Any] | list[Any] | None:
    """Return `params`, whose values no driver sees before they are known to be of a kind that it takes."""
    if params is None or isinstance(params, dict | list):
        return params
    raise TaskFailed("input", f"'params' is a mapping or a list, not {kind_of(params)}")
