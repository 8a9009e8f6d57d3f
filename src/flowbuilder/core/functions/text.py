"""Functions of texts."""

from __future__ import annotations

from typing import Any

from flowbuilder.core.functions.support import (
    Budget,
    bounded_list,
    bounded_text,
    charge,
    charge_search,
    charge_text,
    integer,
    kind_of,
    missing,
    number,
    text,
    wrong_type,
    wrong_value,
)
from flowbuilder.core.functions.writing import written

MAX_WIDTH = 10_000
"""Characters that a text is padded to."""


def _read(budget: Budget, value: Any, what: str) -> str:
    text(value, what)
    charge(budget, (len(value) >> 6) + 1)
    return value  # type: ignore[no-any-return]


def upper(budget: Budget, value: Any) -> str:
    """Return a text in upper case."""
    return _made(_read(budget, value, "'upper'").upper())


def lower(budget: Budget, value: Any) -> str:
    """Return a text in lower case."""
    return _made(_read(budget, value, "'lower'").lower())


def title(budget: Budget, value: Any) -> str:
    """Return a text with a capital at the start of each word."""
    return _made(_read(budget, value, "'title'").title())


def _made(value: str) -> str:
    bounded_text(len(value))
    return value


def strip(budget: Budget, value: Any, characters: Any = None) -> str:
    """Return a text without white space, or the given characters, around it."""
    return _read(budget, value, "'strip'").strip(_characters(characters, "'strip'"))


def lstrip(budget: Budget, value: Any, characters: Any = None) -> str:
    """Return a text without white space, or the given characters, in front."""
    return _read(budget, value, "'lstrip'").lstrip(_characters(characters, "'lstrip'"))


def rstrip(budget: Budget, value: Any, characters: Any = None) -> str:
    """Return a text without white space, or the given characters, at its end."""
    return _read(budget, value, "'rstrip'").rstrip(_characters(characters, "'rstrip'"))


def _characters(characters: Any, what: str) -> str | None:
    if characters is None:
        return None
    if len(text(characters, what)) > 1000:
        wrong_value(f"{what} takes at most 1,000 characters to remove")
    return characters  # type: ignore[no-any-return]


def removeprefix(budget: Budget, value: Any, prefix: Any) -> str:
    """Return a text without a prefix that it may have."""
    return _read(budget, value, "'removeprefix'").removeprefix(text(prefix, "'removeprefix'"))


def removesuffix(budget: Budget, value: Any, suffix: Any) -> str:
    """Return a text without a suffix that it may have."""
    return _read(budget, value, "'removesuffix'").removesuffix(text(suffix, "'removesuffix'"))


def startswith(budget: Budget, value: Any, prefix: Any) -> bool:
    """Tell whether a text begins with another, or with one of a list."""
    return text(value, "'startswith'").startswith(_ends(budget, prefix, "'startswith'"))


def endswith(budget: Budget, value: Any, suffix: Any) -> bool:
    """Tell whether a text ends with another, or with one of a list."""
    return text(value, "'endswith'").endswith(_ends(budget, suffix, "'endswith'"))


def _ends(budget: Budget, ends: Any, what: str) -> str | tuple[str, ...]:
    if type(ends) is list:
        charge(budget, len(ends))
        charge(budget, sum(len(text(end, what)) >> 6 for end in ends))
        return tuple(ends)
    charge_text(budget, len(text(ends, what)))
    return ends  # type: ignore[no-any-return]


def replace(budget: Budget, value: Any, old: Any, new: Any, count: Any = -1) -> str:
    """Return a text with each `old` (or the first `count`) replaced by `new`."""
    _read(budget, value, "'replace'")
    text(old, "'replace'")
    text(new, "'replace'")
    integer(count, "'replace'")
    found = value.count(old)
    if count >= 0:
        found = min(found, count)
    length = bounded_text(len(value) + found * (len(new) - len(old)))
    charge(budget, (length >> 6) + found)
    return value.replace(old, new, count)  # type: ignore[no-any-return]


def split(budget: Budget, value: Any, separator: Any = None, limit: Any = -1) -> list[str]:
    """Return the parts of a text between separators; without one between white space."""
    _read(budget, value, "'split'")
    integer(limit, "'split'")
    if separator is None:
        charge(budget, len(value) // 2 + 1)
    else:
        if not text(separator, "'split'"):
            wrong_value("'split' takes a separator of at least one character")
        charge(budget, bounded_list(value.count(separator) + 1))
    parts = value.split(separator, limit)
    bounded_list(len(parts))
    return parts  # type: ignore[no-any-return]


def splitlines(budget: Budget, value: Any) -> list[str]:
    """Return the lines of a text."""
    lines = _read(budget, value, "'splitlines'").splitlines()
    charge(budget, bounded_list(len(lines)))
    return lines


def zfill(budget: Budget, value: Any, width: Any) -> str:
    """Return a text of digits, padded with zeros in front."""
    return text(value, "'zfill'").zfill(_width(budget, width, "'zfill'"))


def ljust(budget: Budget, value: Any, width: Any, fill: Any = " ") -> str:
    """Return a text, padded at its end."""
    return text(value, "'ljust'").ljust(_width(budget, width, "'ljust'"), _fill(fill, "'ljust'"))


def rjust(budget: Budget, value: Any, width: Any, fill: Any = " ") -> str:
    """Return a text, padded in front."""
    return text(value, "'rjust'").rjust(_width(budget, width, "'rjust'"), _fill(fill, "'rjust'"))


def _width(budget: Budget, width: Any, what: str) -> int:
    if integer(width, what) > MAX_WIDTH:
        wrong_value(f"{what} pads to at most {MAX_WIDTH:,} characters")
    charge_text(budget, width)
    return width  # type: ignore[no-any-return]


def _fill(fill: Any, what: str) -> str:
    if len(text(fill, what)) != 1:
        wrong_value(f"{what} fills with one character")
    return fill  # type: ignore[no-any-return]


def count(budget: Budget, value: Any, part: Any) -> int:
    """Return how often a part stands in a text, or an element in a list."""
    if type(value) is list:
        charge_search(budget, part, value)
        return value.count(part)
    return _read(budget, value, "'count'").count(text(part, "'count'"))


def index(budget: Budget, value: Any, part: Any) -> int:
    """Return where a part first stands in a text, or an element in a list."""
    if type(value) is list:
        charge_search(budget, part, value)
        if part in value:
            return value.index(part)
        return missing("'index' finds no such element")
    place = _read(budget, value, "'index'").find(text(part, "'index'"))
    return place if place >= 0 else missing("'index' finds no such part")


def join(budget: Budget, value: Any, separator: Any = "") -> str:
    """Return the elements of a list, written out, with a separator between: `join(list, sep)` or `sep.join(list)`."""
    if type(value) is str and type(separator) is list:
        value, separator = separator, value
    if type(value) is not list:
        return wrong_type(f"'join' takes a list and a separator, not {kind_of(value)}")
    charge(budget, len(value))
    parts = [item if type(item) is str else written(item, budget) for item in value]
    length = sum(map(len, parts)) + max(0, len(parts) - 1) * len(text(separator, "'join'"))
    charge(budget, bounded_text(length) >> 6)
    return str(separator).join(parts)


def truncate(budget: Budget, value: Any, length: Any, end: Any = "…") -> str:
    """Return a text of at most `length` characters; what is cut ends in `end`."""
    plain = text(value, "'truncate'")
    most = integer(length, "'truncate'")
    if most < len(text(end, "'truncate'")):
        wrong_value("'truncate' takes a length that has room for its end")
    if len(plain) <= most:
        return plain
    charge_text(budget, most)
    return plain[: most - len(end)] + str(end)


def fixed(budget: Budget, value: Any, digits: Any = 2) -> str:
    """Return a number as text with so many digits behind the point."""
    if not 0 <= integer(digits, "'fixed'") <= 20:
        wrong_value("'fixed' takes 0 to 20 digits")
    exact = number(value, "'fixed'")
    made = f"{exact:.{digits}f}"
    charge_text(budget, len(made))
    return made
