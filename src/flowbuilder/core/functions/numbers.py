"""Functions of numbers."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from flowbuilder.core.functions.operators import less
from flowbuilder.core.functions.support import (
    Budget,
    charge,
    charge_order,
    finite,
    fits,
    integer,
    kind_of,
    listed,
    missing,
    number,
    too_much,
    wrong_type,
    wrong_value,
)

_NOTHING = object()


def abs_(value: Any) -> Any:
    """Return a number or duration without its sign."""
    if type(value) is dt.timedelta:
        return abs(value)
    exact = number(value, "'abs'")
    return fits(abs(exact)) if type(exact) is int else abs(exact)


def round_(value: Any, digits: Any = 0) -> Any:
    """Return a number rounded, halves to the even neighbour; an integer where `digits` is 0."""
    exact = number(value, "'round'")
    if not -20 <= integer(digits, "'round'") <= 20:
        wrong_value("'round' takes -20 to 20 digits")
    if digits == 0:
        return fits(round(exact))
    rounded = round(exact, digits)
    return fits(rounded) if type(rounded) is int else finite(rounded)


def floor(value: Any) -> int:
    """Return the greatest integer that is not greater."""
    return fits(math.floor(number(value, "'floor'")))


def ceil(value: Any) -> int:
    """Return the smallest integer that is not smaller."""
    return fits(math.ceil(number(value, "'ceil'")))


def sum_(budget: Budget, values: Any, start: Any = 0) -> Any:
    """Return the sum of numbers, exactly rounded where there are floats; or of durations."""
    items = listed(values, "'sum'")
    charge(budget, len(items))
    kinds = set(map(type, items))
    if not items and type(start) is dt.timedelta:
        return start
    if kinds <= {int}:
        return _plus(start, fits(sum(items)))
    if kinds <= {int, float}:
        try:
            return finite(_plus(start, math.fsum(items)))
        except OverflowError:
            return too_much("a number beyond what a float can hold")
    if kinds == {dt.timedelta}:
        if type(start) is not dt.timedelta:
            if type(start) is not int or start != 0:
                wrong_type(f"'sum' starts durations with a duration, not with {kind_of(start)}")
            start = dt.timedelta()
        try:
            return sum(items, start)
        except OverflowError:
            return too_much("a duration out of range")
    odd = (
        next(item for item in items if type(item) not in (int, float, dt.timedelta))
        if kinds
        - {
            int,
            float,
            dt.timedelta,
        }
        else items[0]
    )
    return wrong_type(f"'sum' takes a list of numbers, or of durations; one element is {kind_of(odd)}")


def _plus(start: Any, total: Any) -> Any:
    result = number(start, "'sum'") + total
    return fits(result) if type(result) is int else result


def min_(budget: Budget, *values: Any, default: Any = _NOTHING, by: Any = None) -> Any:
    """Return the smallest of a list, or of several values; of none `default`."""
    return _extreme(budget, "'min'", values, default, by, smallest=True)


def max_(budget: Budget, *values: Any, default: Any = _NOTHING, by: Any = None) -> Any:
    """Return the greatest of a list, or of several values; of none `default`."""
    return _extreme(budget, "'max'", values, default, by, smallest=False)


def _extreme(
    budget: Budget, what: str, values: tuple[Any, ...], default: Any, by: Any, *, smallest: bool
) -> Any:
    items = listed(values[0], what) if len(values) == 1 else list(values)
    if not items:
        return wrong_value(f"{what} of nothing needs `default=`") if default is _NOTHING else default
    keys = items if by is None else [member(item, by, what, place) for place, item in enumerate(items)]
    charge_order(budget, keys, 1)
    best = 0
    for place in range(1, len(keys)):
        if less(keys[place], keys[best]) if smallest else less(keys[best], keys[place]):
            best = place
    if len(keys) == 1:
        less(keys[0], keys[0])
    return items[best]


def member(item: Any, by: Any, what: str, place: int) -> Any:
    """Return the member by which the element at `place` is compared; it must be there and not null."""
    if type(item) is not dict or type(by) is not str:
        return wrong_type(f"{what} with `by=` takes a list of mappings, and a member's name")
    value = item.get(by)
    if value is None:
        said = "is null in" if by in item else "is missing in"
        return missing(f"{what}: '{by[:100]}' {said} the element [{place}]")
    return value
