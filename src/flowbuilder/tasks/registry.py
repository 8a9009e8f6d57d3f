"""Finds the implementation of a task type by its name; each is loaded when it is first called.

Those of plug-ins are entry points of the group `flowbuilder.tasks`, whose
name is the type's and whose object is a class with `spec` and `run` or `work`.
What comes with the engine cannot be replaced.
"""

from __future__ import annotations

import difflib
import importlib
import threading
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.core.errors import FlowBuilderError, NotFound
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from flowbuilder.tasks.api import Placed, TaskType

GROUP: Final = "flowbuilder.tasks"

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

_loaded: dict[str, Any] = {}
_loading: Final = threading.Lock()


class PluginBroken(FlowBuilderError):
    """A plug-in's task type cannot be used: its name, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        return f"the plug-in for the task type '{self.name}' cannot be used: {self.why}"


def task_type(name: str) -> TaskType | Placed:
    """Return the implementation of a task type; always the same one for a name.

    Raises:
        NotFound: there is no such type, or the runtime carries it out itself.
        PluginBroken: a plug-in that provides it cannot be loaded.
    """
    found = _loaded.get(name)
    if found is None:
        with _loading:
            found = _loaded.get(name) or _load(name)
            _loaded[name] = found
    return found  # type: ignore[no-any-return]


def catalogue() -> Mapping[str, TaskSpec]:
    """Return what is known of all task types, those of plug-ins included, which are loaded for it.

    Raises:
        PluginBroken: a plug-in cannot be loaded.
    """
    plugged = {name: task_type(name).spec for name in sorted(_plugins()) if name not in CATALOGUE}
    return {**CATALOGUE, **plugged} if plugged else CATALOGUE


def forget() -> None:
    """Look for plug-ins again, and load them anew, when they are next asked for."""
    with _loading:
        for name in [name for name in _loaded if name not in _BUILT_IN]:
            del _loaded[name]


def _load(name: str) -> Any:
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)()
    plugins = _plugins()
    if name not in plugins:
        close = difflib.get_close_matches(name, [*_BUILT_IN, *plugins], 1)
        raise NotFound("task type", name, f"did you mean '{close[0]}'?" if close else "")
    return _load_plugin(name, plugins[name])


def _load_plugin(name: str, entry: EntryPoint) -> Any:
    try:
        made = entry.load()
        made = made() if isinstance(made, type) else made
    except Exception as error:  # a plug-in may raise anything
        raise PluginBroken(name, f"{type(error).__name__}: {error}") from error
    spec = getattr(made, "spec", None)
    if not isinstance(spec, TaskSpec) or spec.name != name:
        raise PluginBroken(name, f"{entry.value} has no 'spec' with the name '{name}'")
    if not (callable(getattr(made, "run", None)) or callable(getattr(made, "work", None))):
        raise PluginBroken(name, f"{entry.value} has neither 'run' nor 'work'")
    return made


def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # start-up time: built-in types need no look-up

    return {entry.name: entry for entry in entry_points(group=GROUP)}
