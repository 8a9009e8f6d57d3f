"""The kinds of things that plug-ins may add, and those that come with the engine, told in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

Kind = Literal["tasks", "stores", "secrets", "executors", "frontends"]

GROUPS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "tasks": "flowbuilder.tasks",
        "stores": "flowbuilder.stores",
        "secrets": "flowbuilder.secrets",
        "executors": "flowbuilder.executors",
        "frontends": "flowbuilder.frontends",
    }
)
"""The group of entry points of each kind."""

TITLES: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "tasks": "task type",
        "stores": "store",
        "secrets": "secret provider",
        "executors": "executor",
        "frontends": "front end",
    }
)
"""What a thing of each kind is called."""

MODULES: Final = "flowbuilder_plugins_"
"""How the name of a module begins that was imported from a project's folder of plug-ins."""

BUILT_IN: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {
        "tasks": MappingProxyType({}),  # `tasks.registry` has them
        "stores": MappingProxyType(
            {
                "memory": "flowbuilder.storage.memory:MemoryStore",
                "sqlite": "flowbuilder.storage.sqlite:SqliteStore",
            }
        ),
        "secrets": MappingProxyType(
            {
                "environment": "flowbuilder.runtime.secrets:Secrets",
                "file": "flowbuilder.runtime.secrets:Secrets",
            }
        ),
        "executors": MappingProxyType(
            {
                "inline": "flowbuilder.runtime.executors.placer:Placer",
                "thread": "flowbuilder.runtime.executors.threads:Threads",
                "process": "flowbuilder.runtime.executors.processes:Processes",
            }
        ),
        "frontends": MappingProxyType(
            {
                "yaml": "flowbuilder.compiler.read.parse:parse",
                "yml": "flowbuilder.compiler.read.parse:parse",
                "json": "flowbuilder.compiler.read.parse:parse",
                "py": "flowbuilder.sdk.pyflows.front_end:PythonFrontEnd",
            }
        ),
    }
)
"""What comes with the engine, by kind and name; no plug-in takes its place."""

FOLDER: Final = "plugins"
"""The folder of a project that has its own plug-ins."""

RESERVED: Final = frozenset({"auto", "worker"})
"""Names of executors that mean something else."""


class Provided(msgspec.Struct, frozen=True):
    """Something that a plug-in adds, or would add if it could be loaded."""

    kind: Kind
    name: str
    origin: str
    """Whose it is: `flowbuilder`, a distribution with its version, or a file of the project."""
    made: Any = None
    """The thing itself, where it is loaded."""
    why: str = ""
    """Why it cannot be used; empty where it can."""


_task_types: Final[set[str]] = set()
"""The names of those that come with the engine, as the catalogue has said."""


def reserve_task_types(names: Iterable[str]) -> None:
    """Let no plug-in have these names."""
    _task_types.update(names)


def comes_with_engine(kind: Kind, name: str) -> bool:
    """Tell whether the engine itself has something under a name: then no plug-in can be it."""
    return (
        name in BUILT_IN[kind]
        or (kind == "executors" and name in RESERVED)
        or (kind == "tasks" and name in _task_types)
    )


def problem_of(kind: Kind, name: str, made: Any) -> str:
    """Return why an object is nothing of a kind, in words; empty if it is."""
    if comes_with_engine(kind, name):
        return f"the {TITLES[kind]} '{name}' comes with the engine and cannot be replaced"
    match kind:
        case "tasks":
            return _task_problem(name, made)
        case "executors":
            return "" if callable(getattr(made, "run", None)) else "it has no method 'run'"
        case "frontends" if name.startswith("."):
            return f"a suffix stands without its dot: write '{name.lstrip('.')}'"
        case "frontends":
            return "" if callable(getattr(made, "read", None)) else "it has no method 'read'"
        case _:
            return "" if callable(made) else "it cannot be called"


def _task_problem(name: str, made: Any) -> str:
    from flowbuilder.core.catalogue import TaskSpec

    spec = getattr(made, "spec", None)
    if not isinstance(spec, TaskSpec) or spec.name != name:
        return f"it has no 'spec' with the name '{name}'"
    if not (callable(getattr(made, "run", None)) or callable(getattr(made, "work", None))):
        return "it has neither 'run' nor 'work'"
    return ""
