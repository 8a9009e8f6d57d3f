"""Regular expressions, by RE2: linear in the length of the text, whatever the pattern.

It has no look-around and no back-references; that is the price of never
hanging.
"""

from __future__ import annotations

import functools
from typing import Any

from flowbuilder.core.functions.support import (
    Budget,
    bounded_list,
    bounded_text,
    charge,
    integer,
    text,
    wrong_value,
)

MAX_PATTERN = 1000
"""Characters of a pattern."""


@functools.lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Return a pattern ready to be looked for.

    Raises:
        ExpressionError: `expression.value` if it is none.
    """
    import re2  # start-up time: few flows have patterns

    if len(pattern) > MAX_PATTERN:
        wrong_value(f"a pattern has at most {MAX_PATTERN:,} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        message = error.args[0]
        shown = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
        shown = shown if len(shown) <= 120 else shown[:119] + "…"
        return wrong_value(f"the pattern cannot be read: {shown} (RE2: no look-around, no back-references)")


@functools.lru_cache(maxsize=512)
def _sized(pattern: str) -> tuple[Any, int]:
    regex = compiled(pattern)
    return regex, regex.programsize


def _subject(budget: Budget, value: Any, pattern: Any, what: str) -> Any:
    """Return the pattern, its cost paid: linear in the text, but a large pattern is slow at each place.

    RE2 leaves its fast way where a pattern has too many states for it: it
    then goes through the whole program for each byte.
    """
    text(value, what)
    charge(budget, (len(value) >> 3) + len(text(pattern, what)) + 1)
    regex, size = _sized(pattern)
    length = len(value) if value.isascii() else 3 * len(value)
    charge(budget, (size >> 3) + (size * size >> 14) + (length * size >> 9))
    return regex


def matches(budget: Budget, value: Any, pattern: Any) -> bool:
    """Tell whether a pattern is found in a text; `^` and `$` bind it to the ends."""
    return _subject(budget, value, pattern, "'matches'").search(value) is not None


def find_all(budget: Budget, value: Any, pattern: Any) -> list[Any]:
    """Return what a pattern finds: texts; of a pattern with one group that, with several lists of them."""
    regex = _subject(budget, value, pattern, "'find_all'")
    found: list[Any] = []
    for match in regex.finditer(value):
        groups = match.groups()
        charge(budget, 1 + len(groups))
        bounded_list(len(found) + 1)
        found.append(match.group(0) if not groups else groups[0] if len(groups) == 1 else list(groups))
    return found


def re_replace(budget: Budget, value: Any, pattern: Any, new: Any, count: Any = 0) -> str:
    r"""Return a text with what a pattern finds replaced; `\1` in `new` is the first group."""
    regex = _subject(budget, value, pattern, "'re_replace'")
    parts = _replacement(text(new, "'re_replace'"))
    most = integer(count, "'re_replace'")
    made: list[str] = []
    length = at = 0
    for done, match in enumerate(regex.finditer(value), 1):
        piece = value[at : match.start()] + "".join(_filled(part, match) for part in parts)
        length = bounded_text(length + len(piece))
        charge(budget, 1 + (len(piece) >> 6))
        made.append(piece)
        at = match.end()
        if done == most:
            break
    made.append(value[at:])
    bounded_text(length + len(made[-1]))
    return "".join(made)


def _replacement(new: str) -> list[str | int]:
    parts: list[str | int] = []
    at = 0
    while (slash := new.find("\\", at)) >= 0 and slash + 1 < len(new):
        following = new[slash + 1]
        parts.append(new[at:slash])
        if following.isascii() and following.isdigit():
            parts.append(int(following))
        elif following == "\\":
            parts.append("\\")
        else:
            parts.append("\\" + following)
        at = slash + 2
    parts.append(new[at:])
    return parts


def _filled(part: str | int, match: Any) -> str:
    if isinstance(part, str):
        return part
    if part > len(match.groups()):
        wrong_value(f"'re_replace' names group {part}, which the pattern does not have")
    return match.group(part) or ""


def re_split(budget: Budget, value: Any, pattern: Any, limit: Any = 0) -> list[str]:
    """Return the parts of a text between what a pattern finds."""
    regex = _subject(budget, value, pattern, "'re_split'")
    most = integer(limit, "'re_split'")
    parts: list[str] = []
    at = 0
    for match in regex.finditer(value):
        if match.end() == match.start():
            continue  # nothing lies between two neighbours
        charge(budget, 1)
        bounded_list(len(parts) + 2)
        parts.append(value[at : match.start()])
        at = match.end()
        if len(parts) == most:
            break
    parts.append(value[at:])
    return parts
