"""What the cache keeps: under which name, and as what."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values

if TYPE_CHECKING:
    from flowbuilder.core.policies import CacheScope

KIND: Final = "cache"
"""Of the facts that outputs are kept as."""
_SHOWN: Final = 500
"""Characters of a key that are kept for people."""


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An output that is kept; fields are only ever added at the end."""

    scope: str
    flow: str
    task: str
    """Its path, without indexes."""
    run_id: str
    """The run that made it."""
    at: float
    key: str
    """As JSON, cut where it is long: for people."""
    output: msgspec.Raw
    blob: str | None = None
    """The content hash of the output where it is large; then `output` is null."""
    size: int = 0
    """Bytes of the encoded output."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as it is kept."""
    return _encode(entry)


def decode_entry(data: bytes) -> Entry:
    """Return an entry.

    Raises:
        msgspec.DecodeError: if the bytes are none that a release up to this one wrote.
    """
    return _decode(data)


def prefix_of(scope: CacheScope, *, flow: str = "", task: str = "", run_id: str = "") -> str:
    """Return what the names of a task's entries begin with; of a whole flow's where no task is named.

    Parts are divided by `/`, which no name of a flow, and no path of a task
    has in it.
    """
    match scope:
        case "global":
            return "global/"
        case "flow":
            return f"flow/{flow}/" + (f"{task}/" if task else "")
        case "run":
            return f"run/{run_id}/" + (f"{task}/" if task else "")


def encoded_key(key: Any) -> bytes:
    """Return the bytes of a key that its digest is made of.  Equal values have equal ones, also across releases."""
    return values.encode(_sorted(key))


def digest_of(key: Any) -> str:
    """Return what stands for a key in a name."""
    return hashlib.sha256(encoded_key(key)).hexdigest()[:40]


def hidden_name(digest: str, *, sensitive: bool) -> str:
    """Return what stands for a key that nobody is to see in a name, from its keyed digest.

    Outputs that are sensitive have names of their own: a task that is not never finds one.
    """
    return f"{'sensitive' if sensitive else 'hidden'}-{digest}"


def shown_key(key: Any) -> str:
    """Return a key for people."""
    text = msgspec.json.encode(values.to_json(key)).decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _sorted(value: Any) -> Any:
    """Return a value whose mappings are in the order of their keys: their order makes no other key."""
    if type(value) is dict:
        return {name: _sorted(value[name]) for name in sorted(value)}
    if type(value) is list:
        return [_sorted(item) for item in value]
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        return int(value)  # `1 == 1.0`
    return value
