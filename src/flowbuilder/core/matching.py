"""Which events a waiter asks for, in a form that an index can hold.

A condition `event.payload.order == 'A7'` becomes the member `payload.order`
and a digest of the value.  An event has a digest for each of its members, so
that those who wait for it are looked up and not searched for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

Step = str | int

MISSING: Final = object()
"""What `member` returns where a step leads nowhere."""
NO_DIGEST: Final = ""
"""Of a value that no index holds: lists, mappings, moments."""
_SHORT: Final = 40
"""Characters up to which a digest is the value itself."""


def digest(value: Any) -> str:
    """Return a text that is equal for values that `==` finds equal; `NO_DIGEST` where there is none."""
    kind = type(value)
    if kind is str:
        text = f"s{value}"
    elif kind is bool or kind is int:
        text = f"n{int(value)}"
    elif kind is float:
        text = f"n{int(value)}" if value.is_integer() else f"n{value!r}"
    elif value is None:
        return "0"
    else:
        return NO_DIGEST
    if len(text) <= _SHORT:
        return text
    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def member(value: Any, path: Sequence[Step]) -> Any:
    """Return what a path leads to inside a value, or `MISSING`."""
    for step in path:
        in_list = type(value) is list and type(step) is int and -len(value) <= step < len(value)
        if not in_list and (type(value) is not dict or step not in value):
            return MISSING
        value = value[step]
    return value


def write_path(path: Sequence[Step]) -> str:
    """Return a path as one text."""
    return msgspec.json.encode(list(path)).decode()


def read_path(text: str) -> list[Step]:
    """Return the path that `write_path` wrote."""
    return msgspec.json.decode(text, type=list[Step])


def event_value(id: str, name: str, payload: Any, at: float, source: str) -> dict[str, Any]:
    """Return an event as expressions see it."""
    return {
        "id": id,
        "name": name,
        "payload": payload,
        "at": dt.datetime.fromtimestamp(at, dt.UTC),
        "source": source,
    }


EVENT_MEMBERS: Final = ("id", "name", "payload", "at", "source")
"""What `event` has in an expression."""

_NAME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")
LONGEST_NAME: Final = 200


def is_event_name(text: object) -> bool:
    """Tell whether something is the name of an event or a signal: dotted words."""
    return isinstance(text, str) and len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None
