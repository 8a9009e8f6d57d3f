"""Asking for what plug-ins add, by kind and name, as seen from a flow's folder.

What comes with the engine is not asked for here: it is known without a look.
Of a project's own and an installed one with the same name the project's wins.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.plugins import installed
from flowbuilder.plugins.kinds import BUILT_IN, FOLDER, TITLES, Kind, Provided, comes_with_engine
from flowbuilder.plugins.project import find_project

if TYPE_CHECKING:
    from flowbuilder.plugins.folder import ProjectPlugins

_KNOWN_FOR: Final = 5.0
"""Seconds for which a folder's project is not looked for again."""

_lock: Final = threading.Lock()
_projects: Final[dict[Path, ProjectPlugins]] = {}
_folders: Final[dict[Path, tuple[float, Path]]] = {}
"""The project of each folder that was asked about, and until when that is believed."""
_project_of: Final[dict[Path, tuple[float, ProjectPlugins]]] = {}


class PluginBroken(FlowBuilderError):
    """A plug-in cannot be used: what it would add, and why."""

    def __init__(self, name: str, why: str, kind: Kind = "tasks") -> None:
        super().__init__(name, why, kind)
        self.name = name
        self.why = why
        self.kind = kind

    def __str__(self) -> str:
        return f"the plug-in for the {TITLES[self.kind]} '{self.name}' cannot be used: {self.why}"


def provided(kind: Kind, folder: Path | None = None) -> dict[str, Provided]:
    """Return all that plug-ins add of a kind, by name, loaded; those that cannot be used say why."""
    found = _claimed(kind, folder)
    return {name: each for name, each in found.items() if not comes_with_engine(kind, name)}


def _claimed(kind: Kind, folder: Path | None) -> dict[str, Provided]:
    """Return what plug-ins add or would like to add: names of what comes with the engine among it."""
    found = {name: each for name in installed.names(kind) if (each := installed.get(kind, name)) is not None}
    if folder is not None and has_own(folder):
        found |= {each.name: each for each in of_project(folder).all() if each.kind == kind}
    return dict(sorted(found.items()))


def find(kind: Kind, name: str, folder: Path | None = None) -> Provided | None:
    """Return what plug-ins add under a name, whether it can be used or not; None if there is no such thing.

    What comes with the engine is none of theirs, whoever claims its name.
    """
    if comes_with_engine(kind, name):
        return None
    if folder is not None and has_own(folder) and (own := of_project(folder).get(kind, name)) is not None:
        return own
    return installed.get(kind, name)


def made(kind: Kind, name: str, folder: Path | None = None) -> Any:
    """Return what plug-ins add under a name; None if there is no such thing.

    Raises:
        PluginBroken: there is, but it cannot be used.
    """
    found = find(kind, name, folder)
    if found is None:
        return None
    if found.why:
        raise PluginBroken(name, found.why, kind)
    return found.made


def everything(folder: Path | None = None) -> list[Provided]:
    """Return all there is, what comes with the engine first."""
    found = [Provided(kind, name, "flowbuilder") for kind, names in BUILT_IN.items() for name in names]
    for kind in BUILT_IN:
        found += _claimed(kind, folder).values()
    return found


def of_project(folder: Path) -> ProjectPlugins:
    """Return the plug-ins of the project that a folder belongs to."""
    now = time.monotonic()
    known = _project_of.get(folder)
    if known is not None and now < known[0]:
        return known[1]
    from flowbuilder.plugins.folder import ProjectPlugins  # start-up time: most projects have none

    project = _project(folder, now)
    with _lock:
        plugins = _projects.get(project)
        if plugins is None:
            plugins = _projects[project] = ProjectPlugins(project)
        _project_of[folder] = (now + _KNOWN_FOR, plugins)
    return plugins


def has_own(folder: Path) -> bool:
    """Tell whether the project that a folder belongs to has plug-ins of its own, or had some."""
    project = _project(folder, time.monotonic())
    return project in _projects or (project / FOLDER).is_dir()


def _project(folder: Path, now: float) -> Path:
    known = _folders.get(folder)
    if known is not None and now < known[0]:
        return known[1]
    project = find_project(folder)
    _folders[folder] = (now + _KNOWN_FOR, project)
    return project


def version(folder: Path) -> int:
    """Return a number that changes with the plug-ins of a folder's project."""
    if not has_own(folder):
        return 0
    plugins = of_project(folder)
    plugins.all()
    return plugins.version


def forget() -> None:
    """Look for all plug-ins again, and load them anew, when they are next asked for."""
    installed.forget()
    with _lock:
        _projects.clear()
        _project_of.clear()
        _folders.clear()
