"""Functions of mappings."""

from __future__ import annotations

from typing import Any

from flowbuilder.core.functions.lists import product
from flowbuilder.core.functions.support import (
    Budget,
    bounded_list,
    charge,
    key_text,
    kind_of,
    listed,
    mapping,
    text,
    wrong_type,
)


def get(of: Any, key: Any, otherwise: Any = None) -> Any:
    """Return a member of a mapping, or `otherwise` where there is none; a null stays null."""
    if type(of) is list and type(key) is int:
        return of[key] if -len(of) <= key < len(of) else otherwise
    return mapping(of, "'get'").get(key_text(key), otherwise)


def keys(budget: Budget, of: Any) -> list[str]:
    """Return the keys of a mapping, in order."""
    charge(budget, len(mapping(of, "'keys'")))
    return list(of)


def values(budget: Budget, of: Any) -> list[Any]:
    """Return the values of a mapping, in order."""
    charge(budget, len(mapping(of, "'values'")))
    return list(of.values())


def items(budget: Budget, of: Any) -> list[list[Any]]:
    """Return `[key, value]` for each member of a mapping, in order."""
    charge(budget, 2 * len(mapping(of, "'items'")))
    return [[key, value] for key, value in of.items()]


def dict_(budget: Budget, pairs: Any = None, /, **named: Any) -> dict[str, Any]:
    """Return a mapping of `[key, value]` pairs, or of another mapping, and of what is named."""
    if pairs is None:
        return dict(named)
    if type(pairs) is dict:
        charge(budget, len(pairs))
        return {**pairs, **named}
    charge(budget, len(listed(pairs, "'dict'")))
    made: dict[str, Any] = {}
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2:
            wrong_type("'dict' takes a list of `[key, value]` pairs")
        made[key_text(pair[0])] = pair[1]
    return {**made, **named}


def merge(budget: Budget, *mappings: Any) -> dict[str, Any]:
    """Return one mapping of several; later ones win."""
    merged: dict[str, Any] = {}
    for part in mappings:
        charge(budget, len(mapping(part, "'merge'")))
        merged.update(part)
    return merged


def pick(budget: Budget, of: Any, *names: Any) -> dict[str, Any]:
    """Return a mapping with the members of these names only, as far as they are there."""
    wanted = _names(budget, names, "'pick'")
    mapping(of, "'pick'")
    return {name: of[name] for name in wanted if name in of}


def omit(budget: Budget, of: Any, *names: Any) -> dict[str, Any]:
    """Return a mapping without the members of these names."""
    unwanted = set(_names(budget, names, "'omit'"))
    charge(budget, len(mapping(of, "'omit'")))
    return {name: value for name, value in of.items() if name not in unwanted}


def _names(budget: Budget, names: tuple[Any, ...], what: str) -> list[str]:
    wanted = names[0] if len(names) == 1 and type(names[0]) is list else names
    charge(budget, len(wanted))
    return [text(name, what) for name in wanted]


def matrix(
    budget: Budget, of: Any = None, /, *, include: Any = None, exclude: Any = None, **named: Any
) -> list[dict[str, Any]]:
    """Return every combination of one value for each name: `matrix({'os': [...], 'py': [...]})`.

    As in CI files, those that fit a mapping of `exclude` are left out; then
    each mapping of `include` is added to the combinations of which it changes
    no value, and is a combination of its own where there is none.
    """
    axes = {**(mapping(of, "'matrix'") if of is not None else {}), **named}
    for name, axis in axes.items():
        if type(axis) is not list:
            wrong_type(f"'matrix' takes a list for each name; '{name}' is {kind_of(axis)}")
    if not axes and include is not None:
        return [dict(row) for row in _rows(budget, include, "include", 1)]
    rows = product(budget, list(axes.values()))
    bounded_list(len(rows))
    found = [dict(zip(axes, row, strict=True)) for row in rows]
    for without in _rows(budget, exclude, "exclude", len(found)):
        found = [row for row in found if any(k not in row or row[k] != v for k, v in without.items())]
    more = []
    for change in _rows(budget, include, "include", len(found)):
        fixed = [(name, value) for name, value in change.items() if name in axes]
        fits = [row for row in found if all(row[name] == value for name, value in fixed)]
        for row in fits:
            row.update(change)
        if not fits:
            more.append(dict(change))
    bounded_list(len(found) + len(more))
    return found + more


def _rows(budget: Budget, of: Any, name: str, each: int) -> list[dict[str, Any]]:
    """Return what is included or excluded; each of it is compared with so many combinations."""
    if of is None:
        return []
    if type(of) is not list:
        wrong_type(f"'{name}' of a matrix takes a list of mappings, not {kind_of(of)}")
    charge(budget, len(of) * max(1, each))
    return [mapping(row, f"'{name}' of a matrix") for row in of]
