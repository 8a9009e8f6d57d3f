"""The project that a command works in: its settings and its store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core.errors import NotFound
from flowbuilder.runtime.config import Config
from flowbuilder.runtime.project import find_project, store_path
from flowbuilder.runtime.settings import read_settings
from flowbuilder.storage.place import is_url

if TYPE_CHECKING:
    from flowbuilder.sdk.reader import Reader


class Workspace(msgspec.Struct, frozen=True):
    """A project, how it is set up, and where its runs are."""

    project: Path
    config: Config
    sources: Mapping[str, str]
    store: Path


def workspace_at(start: Path, store: str | None = None) -> Workspace:
    """Return the workspace of a flow's folder, or of the folder where a command is given.

    Args:
        start: where the search for the project begins.
        store: the value of `--store`; a relative one starts where the command is given.

    Raises:
        ConfigError: if a setting is wrong.
    """
    project = find_project(start)
    flags = {"store.path": store if is_url(store) else os.path.abspath(store)} if store else {}
    settings = read_settings(project, os.environ, flags)
    return Workspace(
        project, settings.config, settings.sources, store_path(project, settings.config, os.environ)
    )


def store_here(store: str | None) -> Path:
    """Return the file of the store that a command without a flow means."""
    return workspace_at(Path.cwd(), store).store


def reader_here(store: str | None) -> Reader:
    """Return a reader of the store that a command without a flow means.

    Raises:
        NotFound: if there is no store yet; opening one to read it must not make it.
    """
    from flowbuilder.sdk.reader import Reader  # start-up time: brings the store's driver

    path = store_here(store)
    if not path.exists():
        raise NotFound("store", str(path), "`flowbuilder run FILE` makes it; or name one with --store")
    return Reader(path)
