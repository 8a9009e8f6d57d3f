"""Where a project begins, and where it keeps its store and its secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.storage.folder import OWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.runtime.config import Config

MARKS: Final = ("flowbuilder.toml", ".flowbuilder", ".git")
"""What shows that a folder is a project's."""
HOME: Final = "FLOWBUILDER_HOME"
FOLDER: Final = OWN
STORE: Final = "flowbuilder.db"
SECRETS: Final = "secrets.toml"
SETTINGS: Final = "flowbuilder.toml"


def find_project(start: Path) -> Path:
    """Return the nearest folder upward with a project's mark in it, else `start` itself.

    Args:
        start: a flow's folder, or the folder where a command is given.
    """
    start = Path(os.path.abspath(start))
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    return start


def store_path(project: Path, config: Config, environ: Mapping[str, str]) -> Path:
    """Return the store's file: as set, else in `FLOWBUILDER_HOME`, else in the project."""
    if config.store.path:
        return project / Path(config.store.path).expanduser()
    if home := environ.get(HOME):
        return Path(home).expanduser().absolute() / STORE
    return project / FOLDER / STORE


def secrets_path(project: Path, config: Config) -> Path:
    """Return the file that values of secrets are read from, whether it is there or not."""
    if config.secrets.file:
        return project / Path(config.secrets.file).expanduser()
    return project / FOLDER / SECRETS
