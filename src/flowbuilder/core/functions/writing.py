"""Writing values out: in longer texts, as JSON, as `str`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from flowbuilder.core.functions.support import (
    STEPS,
    Budget,
    bounded_text,
    measure,
    missing,
    wrong_value,
)
from flowbuilder.core.values import duration_text, to_json

_PLAIN = frozenset({int, float, bool, type(None)})


def written(value: Any, budget: Budget | None = None) -> str:
    """Return a value as it stands in a longer text: text as it is, all else as compact JSON."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return str(value)
    if value is None:
        missing("null cannot be written into a text; write `| default('')`")
    if kind is dt.date or kind is dt.datetime:
        return value.isoformat()  # type: ignore[no-any-return]
    if kind is dt.timedelta:
        return duration_text(value)
    if kind not in _PLAIN:
        measure(budget or [STEPS], value)
    return _json(value)


def joined(*parts: Any) -> str:
    """Return a longer text: each part written out."""
    texts: list[str] = []
    length = 0
    for part in parts:
        text = part if type(part) is str else written(part)
        length = bounded_text(length + len(text))
        texts.append(text)
    return "".join(texts)


def str_(budget: Budget, value: Any) -> str:
    """Return a value as text: as it would be written out; null is `null`."""
    return "null" if value is None else written(value, budget)


def to_json_(budget: Budget, value: Any, indent: int = 0) -> str:
    """Return a value as JSON, compact, or indented by so many blanks."""
    measure(budget, value)
    encoded = msgspec.json.encode(to_json(value))
    if indent:
        if type(indent) is not int or not 0 <= indent <= 8:
            wrong_value("'to_json' indents by 0 to 8 blanks")
        encoded = msgspec.json.format(encoded, indent=indent)
    bounded_text(len(encoded))
    return encoded.decode()


def _json(value: Any) -> str:
    encoded = msgspec.json.encode(to_json(value))
    bounded_text(len(encoded))
    return encoded.decode()
