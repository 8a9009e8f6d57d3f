"""Where two values differ: each place by itself, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG: Final = 80
"""Characters of a text of which not all is shown."""
NEAR: Final = 20
"""Characters that are shown before the first that differs."""
SOME: Final = 80
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
    elif isinstance(expected, str) and isinstance(got, str) and max(len(expected), len(got)) > LONG:
        yield from _of_long_texts(where, expected, got)
    elif isinstance(expected, bool) != isinstance(got, bool) or expected != got:
        yield f"{where}: expected {shown(expected)}, got {shown(got)}"


def _of_long_texts(where: str, expected: str, got: str) -> Iterator[str]:
    """Yield where two long texts begin to differ: their beginnings, which are alike, would fill what is shown."""
    if expected == got:
        return
    ends = min(len(expected), len(got))
    place = next((at for at in range(ends) if expected[at] != got[at]), ends)
    begin = max(0, place - NEAR)
    lead = "…" if begin else ""
    line = expected.count("\n", 0, place) + 1
    yield (
        f"{where}: expected {shown(lead + expected[begin:], SOME)}, got {shown(lead + got[begin:], SOME)} "
        f"(they differ from character {place + 1} on{f', in line {line}' if line > 1 else ''})"
    )


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
