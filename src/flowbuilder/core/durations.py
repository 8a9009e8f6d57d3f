"""Durations and sizes as people write them."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_PLAIN = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_ISO = re.compile(
    r"P(?=.)(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?=.)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_ISO_SECONDS = (604800.0, 86400.0, 3600.0, 60.0, 1.0)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.ASCII)
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def parse_duration(text: str) -> float:
    """Return a duration in seconds from `250ms`, `10s`, `1h30m`, `2d` or ISO 8601 (`PT10S`).

    Raises:
        ValueError: if it is none; a bare number is told which units there are.

    Example:
        >>> parse_duration("1h30m"), parse_duration("PT0.5S")
        (5400.0, 0.5)
    """
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if match := _ISO.fullmatch(text):
        return sum(float(n) * s for n, s in zip(match.groups(), _ISO_SECONDS, strict=True) if n)
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        raise ValueError(f"'{text}' has no unit: write '{text}s', '{text}m' or '{text}h'")
    raise ValueError(
        f"'{text[:60]}' is no duration: write for example '250ms', '10s', '1h30m', '2d' or 'PT10S'"
    )


def format_duration(seconds: float) -> str:
    """Return a duration as a flow would write it: `0.25` → `250ms`, `5400` → `1h30m`.

    Example:
        >>> format_duration(0.25), format_duration(5400), format_duration(0)
        ('250ms', '1h30m', '0s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms" if seconds else "0s"
    parts = []
    rest = seconds
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count:.0f}{unit}")
    if rest or not parts:
        parts.append(f"{rest:.3f}".rstrip("0").rstrip(".") + "s")
    return "".join(parts)


def parse_size(text: str) -> int:
    """Return a size in bytes from `64KiB`, `10MB`, `512B`.

    Raises:
        ValueError: if it is none.

    Example:
        >>> parse_size("64KiB")
        65536
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text[:60]}' is no size: write for example '64KiB' or '10MB'")
    return int(float(match[1]) * _BYTES[match[2]])


def format_size(count: int) -> str:
    """Return a size as people write it, in the largest unit that it is a whole number of.

    Example:
        >>> format_size(1048576), format_size(10_000_000), format_size(1001)
        ('1MiB', '10MB', '1001')
    """
    for unit, factor in sorted(_BYTES.items(), key=lambda item: -item[1]):
        if factor > 1 and count >= factor and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)
