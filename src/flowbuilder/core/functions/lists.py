"""Functions of lists."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable
from typing import Any

from flowbuilder.core.functions.numbers import member
from flowbuilder.core.functions.operators import less
from flowbuilder.core.functions.support import (
    SCALARS,
    Budget,
    bounded_list,
    charge,
    charge_order,
    charge_text,
    fits,
    integer,
    key_text,
    kind_of,
    listed,
    measure,
    missing,
    wrong_type,
    wrong_value,
)

_NOTHING = object()


def len_(value: Any) -> int:
    """Return how many elements a list or mapping has, or characters a text."""
    if type(value) in (list, dict, str, bytes):
        return len(value)
    return wrong_type(f"'len' takes a list, a mapping or a text, not {kind_of(value)}")


def range_(budget: Budget, start: Any, stop: Any = None, step: Any = 1) -> list[int]:
    """Return the integers from `start` (0 if only one is given) up to, not including, `stop`."""
    if stop is None:
        start, stop = 0, start
    for part in (start, stop, step):
        integer(part, "'range'")
    if step == 0:
        wrong_value("the step of 'range' cannot be 0")
    numbers = range(start, stop, step)
    # `len` fails beyond what a machine word holds: so count by hand
    count = max(0, -((start - stop) // step)) if step > 0 else max(0, -((stop - start) // -step))
    charge(budget, bounded_list(count))
    return list(numbers)


def list_(budget: Budget, value: Any) -> list[Any]:
    """Return a list: of a mapping its keys, of a text its characters."""
    if type(value) is list:
        return value
    if type(value) in (dict, str):
        charge(budget, bounded_list(len(value)))
        return list(value)
    return wrong_type(f"'list' takes a list, a mapping or a text, not {kind_of(value)}")


def first(value: Any, default: Any = _NOTHING) -> Any:
    """Return the first element of a list or text; of an empty one `default`."""
    return _end(value, 0, default, "'first'")


def last(value: Any, default: Any = _NOTHING) -> Any:
    """Return the last element of a list or text; of an empty one `default`."""
    return _end(value, -1, default, "'last'")


def _end(value: Any, place: int, default: Any, what: str) -> Any:
    if type(value) is not list and type(value) is not str:
        return wrong_type(f"{what} takes a list or a text, not {kind_of(value)}")
    if value:
        return value[place]
    return missing(f"{what} of nothing needs `default=`") if default is _NOTHING else default


def first_of(values: Iterable[Any], default: Any = _NOTHING) -> Any:
    """Return the first element that a comprehension yields, and look no further."""
    for value in values:
        return value
    return missing("'first' of nothing needs `default=`") if default is _NOTHING else default


def sorted_(budget: Budget, values: Any, by: Any = None, reverse: Any = False) -> list[Any]:
    """Return a list in order, by the elements or by a member of each; equal ones keep their order."""
    items = _elements(values, "'sorted'")
    if type(reverse) is not bool:
        wrong_type("'sorted' takes a boolean as `reverse`")
    charge(budget, len(items))
    keys = items if by is None else [member(item, by, "'sorted'", place) for place, item in enumerate(items)]
    _one_kind(keys)
    charge_order(budget, keys, max(1, len(items).bit_length()) - 1)
    if keys and type(keys[0]) is dt.datetime:
        keys = [moment.astimezone(dt.UTC) for moment in keys]
    elif by is None:
        return sorted(items, reverse=reverse)
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=reverse)
    return [items[place] for place in order]


def _one_kind(keys: list[Any]) -> None:
    kinds = set(map(type, keys))
    if len(kinds) > 1 and not kinds <= {int, float}:
        odd = sorted(kind_of(key) for key in {type(key): key for key in keys}.values())
        wrong_type(f"'sorted' takes elements of one kind, not {' and '.join(odd)}")
    if keys:
        less(keys[0], keys[0])


def _elements(values: Any, what: str) -> list[Any]:
    return list(values) if type(values) is dict else listed(values, what)


def reversed_(budget: Budget, value: Any) -> Any:
    """Return a list or text from its end to its start."""
    if type(value) is str:
        charge_text(budget, len(value))
        return value[::-1]
    items = listed(value, "'reversed'")
    charge(budget, len(items))
    return items[::-1]


def unique(budget: Budget, values: Any, by: Any = None) -> list[Any]:
    """Return a list without what stands in it before, by the elements or by a member of each."""
    items = listed(values, "'unique'")
    charge(budget, len(items))
    keys = items if by is None else [member(item, by, "'unique'", place) for place, item in enumerate(items)]
    if not set(map(type, keys)) <= SCALARS:
        measure(budget, keys)
        keys = [_hashable(key) for key in keys]
    seen: set[Any] = set()
    return [item for item, key in zip(items, keys, strict=True) if not (key in seen or seen.add(key))]  # type: ignore[func-returns-value]


def _hashable(value: Any) -> Any:
    """Return what is equal whenever the values are, and can be looked up."""
    if type(value) is list:
        return tuple([item if type(item) in SCALARS else _hashable(item) for item in value])
    if type(value) is dict:
        return frozenset([(key, _hashable(item)) for key, item in value.items()])
    return value


def flatten(budget: Budget, values: Any, depth: Any = 1) -> list[Any]:
    """Return a list with the elements of the lists in it, so many levels deep."""
    items = listed(values, "'flatten'")
    for _ in range(min(64, integer(depth, "'flatten'"))):
        if list not in set(map(type, items)):
            break
        charge(budget, bounded_list(sum(len(item) if type(item) is list else 1 for item in items)))
        items = [inner for item in items for inner in (item if type(item) is list else (item,))]
    return items


def chunk(budget: Budget, values: Any, size: Any) -> list[list[Any]]:
    """Return a list cut into lists of so many elements; the last may be shorter."""
    items = listed(values, "'chunk'")
    if integer(size, "'chunk'") < 1:
        wrong_value("'chunk' takes a size of at least 1")
    charge(budget, len(items))
    return [items[at : at + size] for at in range(0, len(items), size)]


def compact(budget: Budget, values: Any) -> list[Any]:
    """Return a list without nulls."""
    items = listed(values, "'compact'")
    charge(budget, len(items))
    return [item for item in items if item is not None]


def zip_(budget: Budget, *lists: Any) -> list[list[Any]]:
    """Return lists of what stands at the same place, as far as the shortest goes."""
    parts = [listed(part, "'zip'") for part in lists]
    charge(budget, sum(map(len, parts)))
    return [list(row) for row in zip(*parts, strict=False)]


def enumerate_(budget: Budget, values: Any, start: Any = 0) -> list[list[Any]]:
    """Return `[number, element]` for each element, counted from `start`."""
    items = listed(values, "'enumerate'")
    charge(budget, 2 * len(items))
    fits(integer(start, "'enumerate'") + len(items))
    return [[number, item] for number, item in enumerate(items, start)]


def any_(budget: Budget, values: Any) -> bool:
    """Tell whether any element holds; looks no further than the first that does."""
    return any(_tested(budget, values, "'any'"))


def all_(budget: Budget, values: Any) -> bool:
    """Tell whether all elements hold; looks no further than the first that does not."""
    return all(_tested(budget, values, "'all'"))


def _tested(budget: Budget, values: Any, what: str) -> list[Any] | dict[str, Any]:
    if type(values) is not list and type(values) is not dict:
        wrong_type(f"{what} takes a list, not {kind_of(values)}")
    charge(budget, len(values))
    return values


def group_by(budget: Budget, values: Any, by: Any) -> dict[str, list[Any]]:
    """Return the elements of a list by what a member of each says, in the order of the first of each."""
    items = listed(values, "'group_by'")
    charge(budget, len(items))
    groups: dict[str, list[Any]] = {}
    for place, item in enumerate(items):
        groups.setdefault(key_text(member(item, by, "'group_by'", place)), []).append(item)
    return groups


def index_by(budget: Budget, values: Any, by: Any) -> dict[str, Any]:
    """Return the elements of a list by what a member of each says; of equal ones the last."""
    items = listed(values, "'index_by'")
    charge(budget, len(items))
    return {key_text(member(item, by, "'index_by'", place)): item for place, item in enumerate(items)}


def product(budget: Budget, lists: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Return every combination of one element of each list."""
    count = 1
    for part in lists:
        count = bounded_list(count * len(part))
    charge(budget, count * max(1, len(lists)))
    return list(itertools.product(*lists))
