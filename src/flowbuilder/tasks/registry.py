"""Finds the implementation of a task type by its name; each is loaded when it is first called.

Those of plug-ins are entry points of the group `flowbuilder.tasks`, whose
name is the type's, or classes in the `plugins` folder of the project; each
has `spec`, and `run` or `work`.  What comes with the engine cannot be replaced.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.core.errors import NotFound
from flowbuilder.plugins import registry as plugins
from flowbuilder.plugins.kinds import RESERVED, reserve_task_types
from flowbuilder.plugins.registry import PluginBroken
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Placed, TaskType

__all__ = ["CATALOGUE", "Catalogue", "PluginBroken", "catalogue", "forget", "is_built_in", "task_type"]

_BUILT_IN: Final = {
    "shell": "flowbuilder.tasks.shell:Shell",
    "script": "flowbuilder.tasks.script:Script",
    "python": "flowbuilder.tasks.python:Python",
    "http": "flowbuilder.tasks.http:Http",
    "fail": "flowbuilder.tasks.fail:Fail",
    "log": "flowbuilder.tasks.log:Log",
    "sql": "flowbuilder.tasks.sql:Sql",
    "file": "flowbuilder.tasks.file:File",
    "email": "flowbuilder.tasks.email:Email",
    "kv": "flowbuilder.tasks.kv:Kv",
    "assert": "flowbuilder.tasks.assert_:Assert",
    "emit": "flowbuilder.tasks.emit:Emit",
}
"""Those of the catalogue that are called; the others the compiler and the runtime carry out themselves."""

reserve_task_types(CATALOGUE)

_loaded: Final[dict[str, Any]] = {}
_loading: Final = threading.Lock()


class Catalogue(Mapping[str, TaskSpec]):
    """What is known of all task types as seen from a folder.

    Plug-ins are looked for when somebody asks for what does not come with
    the engine, so a flow that needs none pays for none.  One that cannot be
    used is in it with the reason, so that a flow which needs it is told.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str, default: Any = None) -> Any:
        """Return a task type, or the default."""
        # hot: benchmarks/compiling.py; asked several times for each task
        found = CATALOGUE.get(name)
        return found if found is not None else self._plugged(name) or default

    def __getitem__(self, name: str) -> TaskSpec:
        found: TaskSpec | None = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from CATALOGUE
        yield from (name for name in plugins.provided("tasks", self._folder) if name not in CATALOGUE)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    @property
    def executors(self) -> frozenset[str]:
        """The names of executors that plug-ins add."""
        found = plugins.provided("executors", self._folder)
        return frozenset(name for name, each in found.items() if not each.why) - RESERVED

    def _plugged(self, name: str) -> TaskSpec | None:
        found = plugins.find("tasks", name, self._folder)
        if found is None:
            return None
        return broken(name, f"{found.origin}: {found.why}") if found.why else found.made.spec


def is_built_in(name: str) -> bool:
    """Tell whether a task type comes with the engine: then it is always the same."""
    return name in _BUILT_IN


def task_type(name: str, folder: Path | None = None) -> TaskType | Placed:
    """Return the implementation of a task type; of one that comes with the engine always the same.

    Args:
        name: the type's.
        folder: a flow's, whose project may have plug-ins of its own.

    Raises:
        NotFound: there is no such type, or the runtime carries it out itself.
        PluginBroken: a plug-in that provides it cannot be loaded.
    """
    found = _loaded.get(name)
    if found is not None:
        return found  # type: ignore[no-any-return]
    if name in _BUILT_IN:
        with _loading:
            module, _, attribute = _BUILT_IN[name].partition(":")
            _loaded[name] = found = getattr(importlib.import_module(module), attribute)()
        return found  # type: ignore[no-any-return]
    made = None if name in CATALOGUE else plugins.made("tasks", name, folder)
    if made is None:
        import difflib  # start-up time: only for a misspelt name

        close = difflib.get_close_matches(name, [*_BUILT_IN, *plugins.provided("tasks", folder)], 1)
        raise NotFound("task type", name, f"did you mean '{close[0]}'?" if close else "")
    return made  # type: ignore[no-any-return]


def catalogue(folder: Path | None = None) -> Catalogue:
    """Return what is known of all task types, those of plug-ins included: installed ones, and those of a folder's project."""
    return Catalogue(folder)


def broken(name: str, why: str) -> TaskSpec:
    """Return what stands for a task type that cannot be used."""
    return TaskSpec(name, "Cannot be used.", {"type": "object"}, {}, "write", broken=why)


def forget() -> None:
    """Look for plug-ins again, and load them anew, when they are next asked for."""
    plugins.forget()
