"""The values of a flow, and how they are kept.

Values are null, booleans, 64-bit integers, finite floats, texts, bytes,
dates, datetimes with an offset, durations, lists and text-keyed mappings: of
these exact types and no subclasses, so that nobody's code runs when the
engine looks at one.  They are kept as MessagePack, with extension types for
what MessagePack cannot tell apart.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import math
import zoneinfo
from collections.abc import Callable
from typing import Any

import msgspec

from flowbuilder.core.errors import OutputError
from flowbuilder.core.failure import writable
from flowbuilder.core.masking import MASK
from flowbuilder.core.sealed import Sealed

MAX_DEPTH = 64
"""Lists and mappings inside each other."""
MAX_NODES = 10_000_000
"""Elements of one value, shared parts counted each time they would be written."""
MAX_BYTES = 256 * 1024 * 1024
"""Bytes of one encoded value; `limits.output_bytes` raises it."""
NULL_BYTES = b"\xc0"
"""The encoded null."""
BLOB_BYTES = 64 * 1024
"""An encoded value above this goes to the blob store."""

_DATE, _DATETIME, _DURATION, _SEALED = 1, 2, 3, 4
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_EXTENSIONS = frozenset({b"\xc7", b"\xc8", b"\xc9"})
"""What an extension of any length begins with."""
_PLAIN = frozenset({str, bool, type(None)})
_SCALARS = frozenset({str, bool, type(None), int, float})
_INTEGERS = {int}
_MANY = 100_000
"""Elements from which on it pays to look for parts that stand at several places."""


def encode(value: Any, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return a value as it is kept; what Python code returned is made plain on the way.

    A tuple and a set become a list (a set in its own order), a struct,
    dataclass or model a mapping, numpy scalars numbers.

    Raises:
        OutputError: `output.type` for what is no value, `output.depth`,
            `output.size`; names the place inside the value.
    """
    kind = type(value)
    if kind is int and _INT_MIN <= value <= _INT_MAX:
        return _encoder.encode(value)
    if kind in _PLAIN or (kind is dict and len(value) <= _FEW and _is_flat(value)):
        data = _encoded(value)
    else:
        data = _encoded(_Preparation().prepare(value, 0))
    if len(data) > max_bytes:
        raise OutputError(
            "output.size", f"{len(data):,} bytes are more than {max_bytes:,} (limits.output_bytes)"
        )
    return data


def _encoded(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        raise OutputError(
            "output.type", "a text with half a character in it (a lone surrogate), which no UTF-8 can hold"
        ) from None


_FEW = 16
"""Members of a mapping that are looked at one by one: faster than all at once."""


def _is_flat(mapping: dict[Any, Any]) -> bool:
    """Tell whether a mapping can be encoded as it is: text keys, nothing but plain scalars."""
    # hot: benchmarks/pure_tasks.py; what flows return and are given is mostly this
    for key, value in mapping.items():
        kind = type(value)
        if kind is int:
            if not _INT_MIN <= value <= _INT_MAX:
                return False
        elif kind not in _PLAIN:
            return False
        if type(key) is not str:
            return False
    return True


def is_sealed(data: bytes | msgspec.Raw) -> bool:
    """Tell whether an encoded value is a sealed one."""
    return bytes(memoryview(data)[:1]) in _EXTENSIONS and type(decode(data)) is Sealed


def decode(data: bytes | msgspec.Raw) -> Any:
    """Return the value that was encoded, new and equal."""
    return _decoder.decode(data)


def plain(value: Any) -> Any:
    """Return a value as a later reader of the journal would see it; shares nothing with `value`."""
    if type(value) in _PLAIN:
        return value
    return decode(encode(value))


def plain_or_text(value: Any) -> Any:
    """Return a value as a later reader would see it, or in words where it is none we can keep."""
    try:
        return plain(value)
    except OutputError:
        return writable(str(value)[:1000])


def copy(value: Any) -> Any:
    """Return a value that shares no list or mapping with `value`, which is of exact types already."""
    # hot: benchmarks/async_tasks.py; a third less than a comprehension over all
    kind = type(value)
    if kind is dict:
        same = value.copy()
        for key, item in value.items():
            if type(item) not in _SCALARS:
                same[key] = copy(item)
        return same
    if kind is list:
        return [item if type(item) in _SCALARS else copy(item) for item in value]
    return value


def prepare_list(values: list[Any]) -> list[Any]:
    """Return several values ready to be encoded as parts of a record: checked like any output.

    Raises:
        OutputError: as `encode` does.
    """
    kinds = set(map(type, values))
    if kinds == _INTEGERS:
        if min(values) >= _INT_MIN and max(values) <= _INT_MAX:
            return values
    elif kinds <= _PLAIN:
        return values
    prepared = _Preparation().prepare(values, -1)
    assert isinstance(prepared, list)
    return prepared


class _Preparation:
    """Makes one value encodable: checks each part, replaces what MessagePack does not know."""

    __slots__ = ("nodes", "seen")

    def __init__(self) -> None:
        self.nodes = 0
        self.seen: dict[int, tuple[Any, Any, int, int]] = {}
        """By identity: the part itself, what it became, its elements, and how deep it stood."""

    def prepare(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            if _INT_MIN <= value <= _INT_MAX:
                return value
            raise OutputError("output.type", "an integer beyond 64 bits")
        if kind is float:
            if math.isfinite(value):
                return value
            raise OutputError("output.type", "a float that is not finite")
        if kind is list:
            return self._list(value, depth)
        if kind is dict:
            return self._mapping(value, depth)
        return self._other(value, depth)

    def _count(self, number: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise OutputError("output.depth", f"lists and mappings are more than {MAX_DEPTH} deep")
        self.nodes += number + 1
        if self.nodes > MAX_NODES:
            raise OutputError("output.size", f"more than {MAX_NODES:,} elements")

    def _list(self, items: list[Any], depth: int) -> list[Any]:
        self._count(len(items), depth)
        # hot: benchmarks/values.py; asking for all types at once is 4 × faster than one by one
        if self._all_scalar(set(map(type, items)), items):
            return items
        return self._items(items, depth) if self.nodes < _MANY else self._once(self._items, items, depth)

    def _once(self, prepare: Callable[[Any, int], Any], part: Any, depth: int) -> Any:
        """Prepare a part that may stand at many places once only, but count it each time.

        A value of few parts can be one of 2 ** 64 elements: going through
        them all, up to the limit, would keep the engine from its work.
        """
        known = self.seen.get(id(part))
        if known is not None and depth <= known[3]:
            self._count(known[2] - 1, depth)
            return known[1]
        before = self.nodes
        made = prepare(part, depth)
        self.seen[id(part)] = (part, made, self.nodes - before, depth)
        return made

    def _items(self, items: list[Any], depth: int) -> list[Any]:
        changed: list[Any] | None = None
        for index, item in enumerate(items):
            try:
                new = self.prepare(item, depth + 1)
            except OutputError as error:
                raise _inside(error, f"[{index}]") from None
            if new is not item:
                if changed is None:
                    changed = list(items)
                changed[index] = new
        return items if changed is None else changed

    def _mapping(self, mapping: dict[Any, Any], depth: int) -> dict[str, Any]:
        self._count(len(mapping), depth)
        keys_are_texts = not mapping or set(map(type, mapping)) == {str}
        if keys_are_texts and self._all_scalar(set(map(type, mapping.values())), mapping.values()):
            return mapping
        return (
            self._members(mapping, depth) if self.nodes < _MANY else self._once(self._members, mapping, depth)
        )

    def _members(self, mapping: dict[Any, Any], depth: int) -> dict[str, Any]:
        result = {}
        for key, item in mapping.items():
            if type(key) is not str:
                key = _key(key)
            try:
                result[key] = self.prepare(item, depth + 1)
            except OutputError as error:
                raise _inside(error, f".{key[:80]}") from None
        if len(result) != len(mapping):
            raise OutputError("output.type", "two keys of a mapping are the same text")
        return result

    @staticmethod
    def _all_scalar(types: set[type], items: Any) -> bool:
        """Tell whether nothing needs a second look.  Types not in question cost one set operation."""
        if types <= _PLAIN:
            return True
        if not types <= _SCALARS:
            return False
        if float in types:
            return False if not all(map(math.isfinite, _numbers(items, types))) else _ints_fit(items, types)
        return _ints_fit(items, types)

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, dt.datetime):
            if value.tzinfo is None:
                raise OutputError("output.type", "a datetime without an offset")
            return msgspec.msgpack.Ext(_DATETIME, _datetime_text(value).encode())
        if isinstance(value, dt.date):
            return msgspec.msgpack.Ext(_DATE, value.isoformat().encode())
        if isinstance(value, dt.timedelta):
            micros = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
            return msgspec.msgpack.Ext(_DURATION, str(micros).encode())
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if type(value) is Sealed:
            return msgspec.msgpack.Ext(_SEALED, value.data)
        return (
            self._other_kind(value, depth)
            if self.nodes < _MANY
            else self._once(self._other_kind, value, depth)
        )

    def _other_kind(self, value: Any, depth: int) -> Any:
        return self.prepare(_plainer(value), depth)


def _numbers(items: Any, types: set[type]) -> Any:
    return items if types <= {int, float, bool} else [x for x in items if type(x) is float]


def _ints_fit(items: Any, types: set[type]) -> bool:
    if int not in types:
        return True
    ints = items if types == {int} else [x for x in items if type(x) is int]
    return min(ints) >= _INT_MIN and max(ints) <= _INT_MAX


def _plainer(value: Any) -> Any:
    """Return a value one step nearer to an exact built-in type, or refuse it."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return dict(dict.items(value))
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    for method in ("model_dump", "item"):  # pydantic's models, numpy's scalars
        if (make := getattr(value, method, None)) and not isinstance(value, type):
            made = make()
            if type(made) is not type(value):
                return made
    raise OutputError("output.type", f"a {type(value).__name__} is no value that a flow can hold")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise OutputError("output.type", f"a mapping's key is a {type(key).__name__}, not a text")


def _inside(error: OutputError, step: str) -> OutputError:
    return OutputError(error.kind, error.message, "$" + step + error.path[1:])


def _datetime_text(value: dt.datetime) -> str:
    zone = value.tzinfo
    name = f"[{zone.key}]" if isinstance(zone, zoneinfo.ZoneInfo) and zone.key else ""
    return value.isoformat() + name


def _datetime_from(text: str) -> dt.datetime:
    if not text.endswith("]"):
        return dt.datetime.fromisoformat(text)
    iso, _, zone = text[:-1].partition("[")
    fixed = dt.datetime.fromisoformat(iso)
    return fixed.astimezone(zoneinfo.ZoneInfo(zone))


def from_extension(code: int, data: memoryview) -> Any:
    """Return the value of an extension type: the hook for decoders that hold values."""
    if code == _SEALED:
        return Sealed(bytes(data))
    text = str(data, "ascii")
    if code == _DATE:
        return dt.date.fromisoformat(text)
    if code == _DATETIME:
        return _datetime_from(text)
    if code == _DURATION:
        return dt.timedelta(microseconds=int(text))
    raise OutputError("output.type", f"a value of kind {code}, which a later release wrote")


def duration_text(value: dt.timedelta) -> str:
    """Return a duration as ISO 8601: `PT1H30M` → `PT5400S` (seconds only, exact)."""
    micros = abs(value) // dt.timedelta(microseconds=1)
    seconds, rest = divmod(micros, 1_000_000)
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{'-' if value < dt.timedelta(0) else ''}PT{seconds}{fraction}S"


def to_json(value: Any) -> Any:
    """Return a value as JSON can show it: bytes as base64, dates and durations as ISO 8601."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list:
        return [to_json(item) for item in value]
    if kind is dict:
        return {key: to_json(item) for key, item in value.items()}
    if kind is bytes:
        return base64.b64encode(value).decode()
    if kind is dt.timedelta:
        return duration_text(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if kind is Sealed:
        return MASK
    return value


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ext_hook=from_extension)
