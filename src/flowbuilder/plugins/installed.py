"""Plug-ins of installed packages: entry points, each loaded when it is first asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.plugins.kinds import GROUPS, Kind, Provided, problem_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_lock: Final = threading.RLock()
_entries: Final[dict[Kind, dict[str, EntryPoint]]] = {}
"""What is installed.  A cache: `forget` has it read again."""
_loaded: Final[dict[tuple[Kind, str], Provided]] = {}


def names(kind: Kind) -> list[str]:
    """Return the names that installed packages add of a kind, without loading them."""
    return list(_found(kind))


def get(kind: Kind, name: str) -> Provided | None:
    """Return what an installed package adds under a name, loaded or with why it cannot be; None if none does."""
    entry = _found(kind).get(name)
    if entry is None:
        return None
    with _lock:
        found = _loaded.get((kind, name))
        if found is None:
            found = _loaded[kind, name] = _load(kind, name, entry)
    return found


def forget() -> None:
    """Look for installed packages again, and load them anew."""
    with _lock:
        _entries.clear()
        _loaded.clear()


def _found(kind: Kind) -> dict[str, EntryPoint]:
    entries = _entries.get(kind)
    if entries is None:
        entries = _entries[kind] = entry_points_of(kind)
    return entries


def entry_points_of(kind: Kind) -> dict[str, EntryPoint]:
    """Read what is installed of a kind, by name."""
    from importlib.metadata import entry_points  # start-up time: what comes with the engine needs no look-up

    return {entry.name: entry for entry in entry_points(group=GROUPS[kind])}


def _load(kind: Kind, name: str, entry: EntryPoint) -> Provided:
    origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value
    try:
        made = instance_of(kind, entry.load())
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        return Provided(kind, name, origin, None, f"{type(error).__name__}: {error}")
    problem = problem_of(kind, name, made)
    return (
        Provided(kind, name, origin, None, f"{entry.value}: {problem}")
        if problem
        else Provided(kind, name, origin, made)
    )


def instance_of(kind: Kind, made: Any) -> Any:
    """Return what a plug-in means by a class: one of it, where the kind wants an object."""
    if isinstance(made, type) and kind in ("tasks", "executors", "frontends"):
        return made()
    return made
