"""Where two values differ: each place by itself, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING: Final = object()
"""What stands for a value that is not there."""


def differences(where: str, expected: Any, got: Any) -> Iterator[str]:
    """Yield where two values differ, each place by itself."""
    if got is MISSING:
        yield f"{where}: expected {shown(expected)}, got nothing"
    elif isinstance(expected, dict) and isinstance(got, dict):
        for key in {**expected, **got}:
            if key not in expected:
                yield f"{where}.{key}: not expected, got {shown(got[key])}"
            else:
                yield from differences(f"{where}.{key}", expected[key], got.get(key, MISSING))
    elif isinstance(expected, list) and isinstance(got, list):
        for number, (one, other) in enumerate(zip(expected, got, strict=False)):
            yield from differences(f"{where}[{number}]", one, other)
        if len(expected) != len(got):
            yield f"{where}: expected {len(expected)} elements, got {len(got)}"
    elif isinstance(expected, bool) != isinstance(got, bool) or expected != got:
        yield f"{where}: expected {shown(expected)}, got {shown(got)}"


def parts(where: str, expected: Any, got: Any) -> Iterator[str]:
    """Yield where a value lacks what is expected; members of mappings that are not named do not count."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            yield from parts(f"{where}.{key}" if where else key, value, got.get(key, MISSING))
    else:
        yield from differences(where, expected, got)


def shown(value: Any, most: int = 200) -> str:
    """Return a value for a message, shortened."""
    try:
        text = msgspec.json.encode(values.to_json(value)).decode()
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
