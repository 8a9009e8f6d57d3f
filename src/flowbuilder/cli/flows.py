"""The flow that a command is about: its file found, read, checked and planned."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import NotFound
from flowbuilder.sdk.load import is_python, load

if TYPE_CHECKING:
    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.load import LoadedFlow


def prepare(file: Path, store: str | None) -> tuple[Workspace, LoadedFlow]:
    """Return the workspace of a flow's file, and the flow itself, checked and planned.

    A flow in Python is named `flows.py:report`, or `package.module:report`.

    Raises:
        NotFound: if there is no such file.
        FlowError: if the flow is wrong.
    """
    if is_python(str(file)):
        # what the author's module prints is no data
        with contextlib.redirect_stdout(sys.stderr):
            return _in_python(str(file), store)
    if not file.is_file():
        raise NotFound("file", str(file), _near_file(file))
    workspace = workspace_at(file.parent, store)
    return workspace, load(file, workspace.config.for_compiler())


def _in_python(reference: str, store: str | None) -> tuple[Workspace, LoadedFlow]:
    """Return the workspace and the flow of `flows.py:report` or `package.module:report`."""
    from flowbuilder.sdk.pyflows.finding import find  # start-up time: most flows are files of their own

    flow = find(reference)
    workspace = workspace_at(flow.file.parent, store)
    return workspace, flow.load(workspace.config.limits.for_compiler())


def warn(flow: LoadedFlow, *, quiet: bool) -> None:
    """Show what the compiler warns about."""
    if flow.diagnostics and not quiet:
        from flowbuilder.cli.diagnostics import show  # start-up time: most flows are fine

        show(flow.diagnostics, flow.sources)


def _near_file(file: Path) -> str:
    """Return a hint where the folder has a flow of nearly this name."""
    import difflib  # start-up time: only for a misspelt name

    folder = file.parent if file.parent.is_dir() else Path()
    if file.is_dir():
        return f"it is a folder; did you mean '{file / 'flow.yaml'}'?"
    names = [path.name for path in folder.iterdir() if path.suffix in (".yaml", ".yml", ".json", ".py")]
    close = difflib.get_close_matches(file.name, names, 1)
    return f"did you mean '{folder / close[0]}'?" if close else ""
