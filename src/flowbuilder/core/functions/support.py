"""What the functions of expressions share: errors, steps, sizes.

A budget is a list of one number, the steps that are left.  It is counted
down before the work: one step for each element that is visited, looked at or
made, one for 64 characters.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NoReturn, TypeAlias

from flowbuilder.core.errors import ExpressionError

Budget: TypeAlias = list[int]

OUT_OF_STEPS: Final = "more steps than one evaluation may take (limits.expression_steps)"
STEPS: Final = 1_000_000
"""Steps of one evaluation; `limits.expression_steps` raises it."""
MAX_TEXT: Final = 8 * 1024 * 1024
"""Characters of a text."""
MAX_LIST: Final = 1_000_000
"""Elements of a list."""
MAX_DEPTH: Final = 64
"""Lists and mappings inside each other."""
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

SCALARS: Final = frozenset({str, int, float, bool, type(None), dt.date, dt.datetime, dt.timedelta, bytes})

_NAMES: Final = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
    dt.date: "a date",
    dt.datetime: "a datetime",
    dt.timedelta: "a duration",
    bytes: "bytes",
}


def kind_of(value: Any) -> str:
    """Return in words what a value is: `a list`, `null`."""
    return _NAMES.get(type(value), "another value")


def wrong_type(message: str) -> NoReturn:
    """Raise `expression.type`."""
    raise ExpressionError("expression.type", message)


def wrong_value(message: str) -> NoReturn:
    """Raise `expression.value`."""
    raise ExpressionError("expression.value", message)


def missing(message: str) -> NoReturn:
    """Raise `expression.missing`."""
    raise ExpressionError("expression.missing", message)


def too_much(message: str) -> NoReturn:
    """Raise `expression.limit`."""
    raise ExpressionError("expression.limit", message)


def charge(budget: Budget, steps: int) -> None:
    """Count steps that are about to be taken.

    Raises:
        ExpressionError: `expression.limit` if there are not so many left.
    """
    budget[0] -= steps
    if budget[0] < 0:
        too_much(OUT_OF_STEPS)


def charge_text(budget: Budget, length: int) -> int:
    """Count the steps of a text that is about to be read or made, and return its length."""
    if length >= 64:
        charge(budget, length >> 6)
    return length


def charge_order(budget: Budget, keys: list[Any], rounds: int) -> None:
    """Count the steps of so many comparisons of each of `keys`; long texts take longer."""
    characters = sum(map(len, keys)) if keys and set(map(type, keys)) == {str} else 0
    charge(budget, (len(keys) + (characters >> 6)) * rounds)


def charge_search(budget: Budget, item: Any, within: list[Any]) -> None:
    """Count the steps of comparing `item` with each element of a list."""
    kind = type(item)
    if kind not in SCALARS:
        measure(budget, within)
        measure(budget, item)
        return
    charge(budget, len(within))
    if (kind is str or kind is bytes) and len(item) >= _LONG:
        # only what is of the same length is looked at from its start to its end
        alike = sum(type(other) is kind and len(other) == len(item) for other in within)
        charge(budget, (len(item) >> 6) * alike)


_LONG: Final = 4096
"""Characters of a text that takes longer to compare than to be found."""


def text(value: Any, what: str) -> str:
    """Return a value that must be a text."""
    if type(value) is str:
        return value
    wrong_type(f"{what} takes a text, not {kind_of(value)}")


def listed(value: Any, what: str) -> list[Any]:
    """Return a value that must be a list."""
    if type(value) is list:
        return value
    wrong_type(f"{what} takes a list, not {kind_of(value)}")


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return a value that must be a mapping."""
    if type(value) is dict:
        return value
    wrong_type(f"{what} takes a mapping, not {kind_of(value)}")


def integer(value: Any, what: str) -> int:
    """Return a value that must be an integer."""
    if type(value) is int:
        return value
    wrong_type(f"{what} takes an integer, not {kind_of(value)}")


def number(value: Any, what: str) -> int | float:
    """Return a value that must be a number; a boolean is none."""
    if type(value) is int or type(value) is float:
        return value
    wrong_type(f"{what} takes a number, not {kind_of(value)}")


def fits(value: int) -> int:
    """Return an integer of at most 64 bits."""
    if INT_MIN <= value <= INT_MAX:
        return value
    too_much("an integer of more than 64 bits")


def finite(value: float) -> float:
    """Return a float that is neither infinite nor no number."""
    if value - value == 0:
        return value
    too_much("a number beyond what a float can hold")


def bounded_text(length: int) -> int:
    """Return the length of a text that is about to be made."""
    if length > MAX_TEXT:
        too_much(f"a text of more than {MAX_TEXT:,} characters")
    return length


def bounded_list(length: int) -> int:
    """Return the length of a list that is about to be made."""
    if length > MAX_LIST:
        too_much(f"a list of more than {MAX_LIST:,} elements")
    return length


def key_text(key: Any) -> str:
    """Return a mapping's key: a text, or an integer written as one."""
    if type(key) is str:
        return key
    if type(key) is int:
        return str(key)
    wrong_type(f"a mapping's key is a text, not {kind_of(key)}")


def measure(budget: Budget, value: Any, depth: int = 0) -> None:
    """Charge the size of a value as it would be written out, shared parts each time."""
    kind = type(value)
    if kind is list or kind is dict:
        if depth >= MAX_DEPTH:
            too_much(f"lists and mappings more than {MAX_DEPTH} deep")
        charge(budget, len(value) + 1)
        for item in value if kind is list else value.values():
            if type(item) not in SCALARS or type(item) is str or type(item) is bytes:
                measure(budget, item, depth + 1)
    elif (kind is str or kind is bytes) and len(value) >= 64:
        charge(budget, len(value) >> 6)
