"""Replacing the values of secrets by `***`, also where they are encoded or cut into chunks.

The second line of defence: the first is that the compiler lets nothing
derived from a secret stand where it would be shown.  A value is found as it
is, in base64 (any alignment, both alphabets), percent-encoded, and as JSON and
Python write it.  A value of fewer than 8 characters is left alone, for `***567`
in place of an order's number does more harm than good; `short` names those,
so that the engine can warn.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MASK: Final = "***"
SHORTEST: Final = 8
"""Characters that a value must have to be masked."""

_MASK_BYTES: Final = MASK.encode()


class Masker:
    """Finds the values of some secrets.  It is false when there is nothing to find.

    Args:
        secrets: values by name.
    """

    __slots__ = ("_byte_forms", "_byte_pattern", "_forms", "_numeric", "_pattern", "short")

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.short = tuple(name for name, value in secrets.items() if len(value) < SHORTEST)
        """Names of the secrets whose values are too short to be masked."""
        found = {form for value in secrets.values() if len(value) >= SHORTEST for form in _forms(value)}
        # the longest first, so that no part of a form is left beside the mask
        self._forms = tuple(sorted(found, key=lambda form: (-len(form), form)))
        self._pattern = re.compile("|".join(map(re.escape, self._forms)))
        as_bytes = {form.encode("utf-8", "surrogatepass") for form in found}
        self._byte_forms = tuple(sorted(as_bytes, key=lambda form: (-len(form), form)))
        self._byte_pattern = re.compile(b"|".join(map(re.escape, self._byte_forms)))
        self._numeric = any(form[-1].isdecimal() and form.strip("-0123456789.") == "" for form in found)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """Return a text with the secrets in it masked."""
        for form in self._forms:  # 10 × faster than the pattern where there is nothing to find
            if form in text:
                return self._pattern.sub(MASK, text)
        return text

    def bytes(self, data: bytes) -> bytes:
        """Return bytes with the secrets in them masked."""
        for form in self._byte_forms:
            if form in data:
                return self._byte_pattern.sub(_MASK_BYTES, data)
        return data

    def value(self, value: Any) -> Any:
        """Return a value with the secrets in its texts, bytes, numbers and keys masked.

        What has none in it comes back as it is, not as a copy.  The value is
        one that was normalised, so it is at most 64 deep.
        """
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            return self._sequence(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return self.bytes(bytes(value))
        if self._numeric and type(value) in (int, float):
            return self._number(value)
        return value

    def stream(self) -> MaskedStream:
        """Return a stream that masks chunk by chunk, across their borders too."""
        return MaskedStream(self._byte_forms, self._byte_pattern)

    def _number(self, value: float) -> Any:
        text = str(value)
        masked = self.text(text)
        return value if masked is text else masked

    def _mapping(self, mapping: dict[Any, Any]) -> dict[Any, Any]:
        masked = {}
        changed = False
        for key, item in mapping.items():
            new_key, new_item = self.value(key), self.value(item)
            changed = changed or new_key is not key or new_item is not item
            while new_key is not key and (new_key in masked or new_key in mapping):
                new_key += "*"  # two keys that mask alike are still two
            masked[new_key] = new_item
        return masked if changed else mapping

    def _sequence(self, items: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
        masked = [self.value(item) for item in items]
        if all(new is item for new, item in zip(masked, items, strict=True)):
            return items
        return masked if isinstance(items, list) else tuple(masked)


class MaskedStream:
    """Masks a stream of bytes.  What might be the start of a secret waits for the next chunk."""

    __slots__ = ("_forms", "_held", "_longest", "_pattern")

    def __init__(self, forms: tuple[bytes, ...], pattern: re.Pattern[bytes]) -> None:
        self._forms = forms
        self._pattern = pattern
        self._longest = len(forms[0]) if forms else 0
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what of the stream is sure by now; what is held back is shorter than the longest form."""
        if not self._forms:
            return chunk
        data = self._held + chunk
        # whatever begins before `border` is seen whole
        border = max(0, len(data) - self._longest + 1)
        done = 0
        parts: list[bytes] = []
        if any(form in data for form in self._forms):
            for match in self._pattern.finditer(data):
                if match.start() >= border:
                    break
                parts += (data[done : match.start()], _MASK_BYTES)
                done = match.end()
        border = max(border, done)
        parts.append(data[done:border])
        self._held = data[border:]
        return b"".join(parts)

    def close(self) -> bytes:
        """Return the end of the stream."""
        held, self._held = self._held, b""
        return self._pattern.sub(_MASK_BYTES, held) if self._forms else held


def _forms(value: str) -> Iterator[str]:
    """Yield every spelling of a value that is looked for."""
    yield value
    for line in value.splitlines():  # what prints it may strip it, or prefix each of its lines
        if len(line.strip()) >= SHORTEST:
            yield line.strip()
    raw = value.encode("utf-8", "surrogatepass")
    yield from _base64_forms(raw)
    for safe in ("", "/", "!'()*~", "/!'()*~"):
        quoted = urllib.parse.quote(raw, safe=safe)
        for form in (quoted, quoted.replace("%20", "+")):
            yield form
            yield re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), form)
    for ascii_only in (True, False):
        written = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield written
        yield written.replace("/", "\\/")
    for spelled in (repr(value), ascii(value)):  # as errors of Python quote what they were given
        yield spelled[1:-1]


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield the value's base64: whole, and what of it does not depend on what stands around it.

    Base64 writes three bytes as four characters, and a value may begin at any
    of the three places; characters that also hold bits of a neighbour are left out.
    """
    whole = base64.b64encode(raw).decode()
    inner = [whole, whole.rstrip("=")]
    for before, start in enumerate((0, 2, 3)):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        inner.append(encoded[start : (before + len(raw)) * 8 // 6])
    for form in inner:
        yield form
        yield form.replace("+", "-").replace("/", "_")
