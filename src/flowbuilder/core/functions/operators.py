"""The operators of expressions, with exact kinds: a boolean is no number, a text no list."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flowbuilder.core.functions.support import (
    SCALARS,
    Budget,
    bounded_list,
    bounded_text,
    charge,
    charge_search,
    charge_text,
    finite,
    fits,
    key_text,
    kind_of,
    measure,
    missing,
    too_much,
    wrong_type,
    wrong_value,
)

_LOW, _HIGH = -(2**63), 2**63 - 1
_DATES = frozenset({dt.date, dt.datetime, dt.timedelta})


def add(a: Any, b: Any) -> Any:
    """Return `a + b`: numbers, two texts, two lists, a date or datetime and a duration."""
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        result = a + b
        return result if _LOW <= result <= _HIGH else fits(result)
    if (ta is int or ta is float) and (tb is int or tb is float):
        return finite(a + b)
    if ta is str and tb is str:
        bounded_text(len(a) + len(b))
        return a + b
    if ta is list and tb is list:
        bounded_list(len(a) + len(b))
        return a + b
    if ta in _DATES or tb in _DATES:
        return _add_dates(a, b)
    return wrong_type(f"'+' takes two numbers, texts or lists, not {kind_of(a)} and {kind_of(b)}")


def add_charged(budget: Budget, a: Any, b: Any) -> Any:
    """Return `a + b`, where many may be made: texts and lists are paid for first."""
    kind = type(a)
    if kind is type(b):
        if kind is int:
            result = a + b
            return result if _LOW <= result <= _HIGH else fits(result)
        if kind is str:
            length = len(a) + len(b)
            if length >= 64:
                charge_text(budget, bounded_text(length))
            return a + b
        if kind is list:
            charge(budget, len(a) + len(b))
    return add(a, b)


def _add_dates(a: Any, b: Any) -> Any:
    if type(a) is dt.timedelta and type(b) is not dt.timedelta:
        a, b = b, a
    if type(b) is not dt.timedelta or type(a) not in _DATES:
        return wrong_type(f"'+' cannot add {kind_of(a)} and {kind_of(b)}")
    return shift(a, b)


def shift(moment: Any, by: dt.timedelta) -> Any:
    """Return a date, datetime or duration moved by a duration: whole days are calendar days.

    A part of a day moves a datetime by real time, also over a change of the
    zone's clock.
    """
    try:
        if type(moment) is dt.date:
            if by.seconds or by.microseconds:
                return wrong_value("a date moves by whole days only; make it a datetime first")
            return moment + by
        if type(moment) is dt.datetime:
            days, rest = dt.timedelta(days=by.days), by - dt.timedelta(days=by.days)
            moved = moment + days
            return (moved.astimezone(dt.UTC) + rest).astimezone(moment.tzinfo) if rest else moved
        return moment + by
    except OverflowError:
        return too_much("a date or duration out of range")


def subtract(a: Any, b: Any) -> Any:
    """Return `a - b`: numbers, dates, datetimes, durations."""
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        result = a - b
        return result if _LOW <= result <= _HIGH else fits(result)
    if (ta is int or ta is float) and (tb is int or tb is float):
        return finite(a - b)
    if tb is dt.timedelta and ta in _DATES:
        return shift(a, -b)
    if ta is tb and ta in _DATES:
        # Python would subtract what the clocks of one zone show, not the time between
        return _utc(a) - _utc(b) if ta is dt.datetime else a - b
    return wrong_type(f"'-' takes two numbers, dates or durations, not {kind_of(a)} and {kind_of(b)}")


def _utc(moment: dt.datetime) -> dt.datetime:
    """Return a moment by UTC's clock.

    Python compares two datetimes of one zone by what its clock shows, which
    shows some times twice a year; and calls such a time unequal to the same
    moment in another zone.
    """
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        return too_much("a date or duration out of range")


def multiply(a: Any, b: Any) -> Any:
    """Return `a * b`: numbers, or a duration and a number."""
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        result = a * b
        return result if _LOW <= result <= _HIGH else fits(result)
    if (ta is int or ta is float) and (tb is int or tb is float):
        return finite(a * b)
    if ta is dt.timedelta and (tb is int or tb is float):
        return _scaled(a, b)
    if tb is dt.timedelta and (ta is int or ta is float):
        return _scaled(b, a)
    return wrong_type(f"'*' takes two numbers, not {kind_of(a)} and {kind_of(b)}")


def _scaled(duration: dt.timedelta, by: float) -> Any:
    try:
        return duration * by
    except OverflowError:
        return too_much("a duration out of range")


def divide(a: Any, b: Any) -> Any:
    """Return `a / b`, a float; a duration by a number, or two durations."""
    ta, tb = type(a), type(b)
    if (ta is int or ta is float) and (tb is int or tb is float):
        if not b:
            return wrong_value("division by zero")
        return finite(a / b)
    if ta is dt.timedelta and (tb is int or tb is float or tb is dt.timedelta):
        if not b:
            return wrong_value("division by zero")
        try:
            return a / b
        except OverflowError:
            return too_much("a duration out of range")
    return wrong_type(f"'/' takes two numbers, not {kind_of(a)} and {kind_of(b)}")


def floor_divide(a: Any, b: Any) -> Any:
    """Return `a // b`, rounded down as Python does."""
    _numbers("//", a, b)
    if not b:
        return wrong_value("division by zero")
    result = a // b
    return fits(result) if type(result) is int else finite(result)


def modulo(a: Any, b: Any) -> Any:
    """Return `a % b`, with the sign of `b` as in Python; text has no `%`."""
    _numbers("%", a, b)
    if not b:
        return wrong_value("division by zero")
    return a % b


def power(a: Any, b: Any) -> Any:
    """Return `a ** b`, after looking at how large it would be."""
    _numbers("**", a, b)
    try:
        if type(a) is int and type(b) is int and b >= 0:
            if abs(a) > 1 and a.bit_length() * b > 128:
                return too_much("an integer of more than 64 bits")
            return fits(a**b)
        result = a**b
    except ZeroDivisionError:
        return wrong_value("zero has no negative power")
    except OverflowError:
        return too_much("a number beyond what a float can hold")
    if type(result) is complex:
        return wrong_type("a negative number has no such root")
    return finite(result)


def _numbers(op: str, a: Any, b: Any) -> None:
    for value in (a, b):
        if type(value) is not int and type(value) is not float:
            wrong_type(f"'{op}' takes two numbers, not {kind_of(a)} and {kind_of(b)}")


def negate(a: Any) -> Any:
    """Return `-a`: a number or a duration."""
    if type(a) is int:
        return fits(-a)
    if type(a) is float or type(a) is dt.timedelta:
        return -a
    return wrong_type(f"'-' takes a number, not {kind_of(a)}")


# -- comparing ---------------------------------------------------------------------


def equal(budget: Budget, a: Any, b: Any) -> bool:
    """Return `a == b`; large values are paid for first."""
    ta, tb = type(a), type(b)
    if ta in SCALARS or tb in SCALARS:
        if ta is not tb and ta in (dt.date, dt.datetime) and tb in (dt.date, dt.datetime):
            wrong_type("a date and a datetime do not compare; take the datetime's `date`")
        if ta is tb:
            if ta is dt.datetime:
                return _utc(a) == _utc(b)
            if (ta is str or ta is bytes) and len(a) == len(b):
                charge_text(budget, len(a))
        return bool(a == b)
    measure(budget, a)
    measure(budget, b)
    return bool(a == b)


def less(a: Any, b: Any) -> bool:
    """Return `a < b`."""
    ta = type(a)
    if ta is dt.datetime or not (ta is type(b) and ta in _ORDERED):
        a, b = _comparable("<", a, b)
    return a < b  # type: ignore[no-any-return]


def less_equal(a: Any, b: Any) -> bool:
    """Return `a <= b`."""
    ta = type(a)
    if ta is dt.datetime or not (ta is type(b) and ta in _ORDERED):
        a, b = _comparable("<=", a, b)
    return a <= b  # type: ignore[no-any-return]


def greater(a: Any, b: Any) -> bool:
    """Return `a > b`."""
    ta = type(a)
    if ta is dt.datetime or not (ta is type(b) and ta in _ORDERED):
        a, b = _comparable(">", a, b)
    return a > b  # type: ignore[no-any-return]


def greater_equal(a: Any, b: Any) -> bool:
    """Return `a >= b`."""
    ta = type(a)
    if ta is dt.datetime or not (ta is type(b) and ta in _ORDERED):
        a, b = _comparable(">=", a, b)
    return a >= b  # type: ignore[no-any-return]


_ORDERED = frozenset({int, float, str, dt.date, dt.datetime, dt.timedelta})


def _comparable(op: str, a: Any, b: Any) -> tuple[Any, Any]:
    ta, tb = type(a), type(b)
    if ta is tb is dt.datetime:
        return _utc(a), _utc(b)
    if (ta is int or ta is float) and (tb is int or tb is float):
        return a, b
    return wrong_type(f"'{op}' compares two numbers, texts or dates, not {kind_of(a)} and {kind_of(b)}")


def contains(budget: Budget, item: Any, within: Any) -> bool:
    """Return `item in within`: an element of a list, a key of a mapping, a part of a text."""
    kind = type(within)
    if kind is dict:
        return key_text(item) in within
    if kind is list:
        charge_search(budget, item, within)
        return item in within
    if kind is str:
        if type(item) is not str:
            return wrong_type(f"'in' looks for a text in a text, not for {kind_of(item)}")
        charge(budget, (len(within) >> 6) + 1)
        return item in within
    return wrong_type(f"'in' looks into a list, a mapping or a text, not into {kind_of(within)}")


def less_charged(budget: Budget, a: Any, b: Any) -> bool:
    """Return `a < b`, where many may be asked for: texts are paid for first."""
    ta = type(a)
    if ta is type(b):
        if ta is int or ta is float:
            return a < b  # type: ignore[no-any-return]
        if ta is str:
            charge_text(budget, min(len(a), len(b)))
    return less(a, b)


def less_equal_charged(budget: Budget, a: Any, b: Any) -> bool:
    """Return `a <= b`, where many may be asked for: texts are paid for first."""
    ta = type(a)
    if ta is type(b):
        if ta is int or ta is float:
            return a <= b  # type: ignore[no-any-return]
        if ta is str:
            charge_text(budget, min(len(a), len(b)))
    return less_equal(a, b)


def greater_charged(budget: Budget, a: Any, b: Any) -> bool:
    """Return `a > b`, where many may be asked for: texts are paid for first."""
    ta = type(a)
    if ta is type(b):
        if ta is int or ta is float:
            return a > b  # type: ignore[no-any-return]
        if ta is str:
            charge_text(budget, min(len(a), len(b)))
    return greater(a, b)


def greater_equal_charged(budget: Budget, a: Any, b: Any) -> bool:
    """Return `a >= b`, where many may be asked for: texts are paid for first."""
    ta = type(a)
    if ta is type(b):
        if ta is int or ta is float:
            return a >= b  # type: ignore[no-any-return]
        if ta is str:
            charge_text(budget, min(len(a), len(b)))
    return greater_equal(a, b)


_COMPARISONS = {
    "<": less_charged,
    "<=": less_equal_charged,
    ">": greater_charged,
    ">=": greater_equal_charged,
}


def chained(budget: Budget, first: Any, *rest: Any) -> bool:
    """Return `first op x op y …`, each operand evaluated once and only if it is needed.

    Args:
        budget: the steps.
        first: the first operand.
        rest: an operator and a function that yields its right operand, in turn.
    """
    left = first
    for op, operand in zip(rest[::2], rest[1::2], strict=True):
        right = operand()
        if not compare(budget, op, left, right):
            return False
        left = right
    return True


def compare(budget: Budget, op: str, left: Any, right: Any) -> bool:
    """Return one comparison, by its operator."""
    match op:
        case "==":
            return equal(budget, left, right)
        case "!=":
            return not equal(budget, left, right)
        case "in":
            return contains(budget, left, right)
        case "not in":
            return not contains(budget, left, right)
        case "is null":
            return left is None
        case "is not null":
            return left is not None
        case _:
            return _COMPARISONS[op](budget, left, right)


# -- taking apart ------------------------------------------------------------------


def index(of: Any, at: Any) -> Any:
    """Return `of[at]`: an element of a list or text by number, of a mapping by key."""
    kind = type(of)
    if kind is dict:
        key = key_text(at)
        if key in of:
            return of[key]
        return missing("the mapping has no such key")
    if kind is list or kind is str:
        if type(at) is not int:
            return wrong_type(f"an index is an integer, not {kind_of(at)}")
        if -len(of) <= at < len(of):
            return of[at]
        return missing(f"the index {at} is out of range: there are {len(of)} elements")
    return missing("null has no elements") if of is None else wrong_type(f"{kind_of(of)} has no elements")


def cut(budget: Budget, of: Any, start: Any, stop: Any, step: Any) -> Any:
    """Return `of[start:stop:step]` of a list or text."""
    if type(of) is not list and type(of) is not str:
        return (
            missing("null has no elements") if of is None else wrong_type(f"{kind_of(of)} cannot be sliced")
        )
    for part in (start, stop, step):
        if part is not None and type(part) is not int:
            wrong_type(f"a slice takes integers, not {kind_of(part)}")
    if step == 0:
        wrong_value("the step of a slice cannot be 0")
    count = len(range(*slice(start, stop, step).indices(len(of))))
    charge(budget, count if type(of) is list else count >> 6)
    return of[start:stop:step]


def each(budget: Budget, over: Any, weight: int = 1) -> list[Any]:
    """Return what a `for` goes over: a list, or the keys of a mapping.

    What is done for one element counts as `weight` steps.
    """
    if type(over) is list:
        charge(budget, len(over) * weight)
        return over
    if type(over) is dict:
        charge(budget, len(over) * weight)
        return list(over)
    return wrong_type(f"a `for` goes over a list or a mapping, not over {kind_of(over)}")


def each_of(budget: Budget, over: Any, count: int, weight: int = 1) -> list[Any]:
    """Return what a `for` with several names goes over: lists of so many elements."""
    items = each(budget, over, weight)
    for item in items:
        if type(item) is not list or len(item) != count:
            wrong_type(f"a `for` with {count} names goes over lists of {count}, such as `m.items()`")
    return items


# -- paths that may be missing -------------------------------------------------------

MISSING = object()


def path(value: Any, steps: tuple[Any, ...]) -> Any:
    """Return what lies at the end of a path, or `MISSING` where a step of it does."""
    for step in steps:
        kind = type(value)
        if value is None:
            return MISSING
        if kind is dict:
            key = key_text(step)
            if key not in value:
                return MISSING
            value = value[key]
        elif (kind is list or kind is str) and type(step) is int:
            if not -len(value) <= step < len(value):
                return MISSING
            value = value[step]
        else:
            return wrong_type(f"{kind_of(value)} has no member of that kind")
    return value


def default(value: Any, steps: tuple[Any, ...], otherwise: Any) -> Any:
    """Return what lies at the end of a path; where that is missing or null, what `otherwise()` yields."""
    found = path(value, steps)
    return otherwise() if found is None or found is MISSING else found


def exists(value: Any, steps: tuple[Any, ...]) -> bool:
    """Tell whether something lies at the end of a path, be it null."""
    return path(value, steps) is not MISSING
