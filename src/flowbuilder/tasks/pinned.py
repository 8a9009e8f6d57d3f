"""Functions as they were when a version of a flow was last in force, for its runs that still go on.

Modules that were imported again have other functions, or lack some.  Runs of
the version that is in force call the new ones; those of an older version go
on with what they began with, as long as this process lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import ModuleType

MOST: Final = 64
"""Versions that are kept; of older ones nobody is likely to go on."""

PINNED: Final[dict[str, Mapping[str, ModuleType]]] = {}
"""By a version's content hash: modules by name, as they were then.  Mostly empty."""


def pin(version: str, modules: Mapping[str, ModuleType]) -> None:
    """Have runs of a version go on with these modules."""
    PINNED.setdefault(version, modules)  # those that it began with
    while len(PINNED) > MOST:
        del PINNED[next(iter(PINNED))]


def unpin(version: str) -> None:
    """Have runs of a version call what there is now: it is in force again."""
    PINNED.pop(version, None)


def pinned_function(version: str, call: str) -> Callable[..., Any] | None:
    """Return the function that runs of a version mean by `module:function`; None where that is the present one."""
    modules = PINNED.get(version)
    module, _, path = call.partition(":")
    found: Any = modules.get(module) if modules is not None else None
    for step in path.split("."):
        found = getattr(found, step, None)
    return getattr(found, "__flowbuilder_call__", found)  # type: ignore[no-any-return]
