"""What databases give, as values of a flow; and the other way round."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from flowbuilder.core.values import to_json

_LOW, _HIGH = -(2**63), 2**64 - 1


class Reading(msgspec.Struct, frozen=True):
    """How a flow reads what a database gives."""

    timezone: str = "UTC"
    """Of moments that come without one: the flow's."""
    decimals: str = "number"

    def value(self, value: Any) -> Any:
        """Return a value of a database as a flow has it."""
        kind = type(value)
        if kind is int:
            return value if _LOW <= value <= _HIGH else str(value)
        if kind in (str, bool, bytes, dt.date, dt.timedelta) or value is None:
            return value
        if kind is float:
            return value if math.isfinite(value) else None
        convert = _CONVERTED.get(kind)
        if convert is not None:
            return convert(self, value)
        return self._other(value)

    def _other(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner) for inner in value]
        for kind, convert in _CONVERTED.items():
            if isinstance(value, kind):
                return convert(self, value)
        return str(value)

    def decimal(self, value: decimal.Decimal) -> int | float | str | None:
        """Return a decimal as a number where that loses nothing, else as text."""
        if not value.is_finite():
            return None
        if self.decimals == "text":
            return format(value, "f")
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent >= 0 and _LOW <= value <= _HIGH:
            return int(value)
        number = float(value)
        return number if decimal.Decimal(repr(number)) == value else format(value, "f")

    def moment(self, value: dt.datetime) -> dt.datetime:
        """Return a moment, which always has an offset."""
        if value.tzinfo is None:
            value = value.replace(tzinfo=zoneinfo.ZoneInfo(self.timezone))
        offset = value.utcoffset()
        return value.replace(tzinfo=dt.timezone(offset if offset is not None else dt.timedelta()))


_CONVERTED: dict[type, Callable[[Reading, Any], Any]] = {
    decimal.Decimal: Reading.decimal,
    dt.datetime: Reading.moment,
    dt.date: lambda _, value: value,
    dt.time: lambda _, value: value.isoformat(),
    dt.timedelta: lambda _, value: value,
    uuid.UUID: lambda _, value: str(value),
    bytearray: lambda _, value: bytes(value),
    memoryview: lambda _, value: bytes(value),
    int: lambda _, value: int(value),
    str: lambda _, value: str(value),
}


def unique_names(columns: Sequence[str]) -> list[str]:
    """Return names of columns as keys of a mapping: a second `id` is `id_2`."""
    taken: set[str] = set()
    names = []
    for column in columns:
        name, number = column, 1
        while name in taken:
            number += 1
            name = f"{column}_{number}"
        taken.add(name)
        names.append(name)
    return names


def simple(value: Any) -> Any:
    """Return a flow's value as a database without dates and lists takes it: as ISO 8601, and as JSON."""
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat(*([" "] if isinstance(value, dt.datetime) else []))
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, dict | list):
        return as_json(value)
    return value


def as_json(value: Any) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(to_json(value)).decode()
