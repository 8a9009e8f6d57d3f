"""Where a project begins (`plugins.project`), and where it keeps its store and its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.plugins.project import MARKS, find_project
from flowbuilder.storage.folder import OWN
from flowbuilder.storage.place import StoreUrl, is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.runtime.config import Config

__all__ = [
    "FOLDER",
    "HOME",
    "MARKS",
    "SECRETS",
    "SETTINGS",
    "STORE",
    "find_project",
    "secrets_path",
    "store_path",
]

HOME: Final = "FLOWBUILDER_HOME"
FOLDER: Final = OWN
STORE: Final = "flowbuilder.db"
SECRETS: Final = "secrets.toml"
SETTINGS: Final = "flowbuilder.toml"


def store_path(project: Path, config: Config, environ: Mapping[str, str]) -> Path:
    """Return the store's file: as set, else in `FLOWBUILDER_HOME`, else in the project."""
    if is_url(config.store.path):
        return StoreUrl.at(config.store.path, project / FOLDER)
    if config.store.path:
        return project / Path(config.store.path).expanduser()
    if home := environ.get(HOME):
        return Path(home).expanduser().absolute() / STORE
    return project / FOLDER / STORE


def key_file(project: Path, config: Config) -> Path | None:
    """Return the file of keys that the settings name, if they do."""
    if not config.encryption.key_file:
        return None
    return project / Path(config.encryption.key_file).expanduser()


def secrets_path(project: Path, config: Config) -> Path:
    """Return the file that values of secrets are read from, whether it is there or not."""
    if config.secrets.file:
        return project / Path(config.secrets.file).expanduser()
    return project / FOLDER / SECRETS
