"""The flow that a command is about: its file found, read, checked and planned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import NotFound
from flowbuilder.sdk.load import load

if TYPE_CHECKING:
    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.load import LoadedFlow


def prepare(file: Path, store: str | None) -> tuple[Workspace, LoadedFlow]:
    """Return the workspace of a flow's file, and the flow itself, checked and planned.

    Raises:
        NotFound: if there is no such file.
        FlowError: if the flow is wrong.
    """
    if not file.is_file():
        raise NotFound("file", str(file), _near_file(file))
    workspace = workspace_at(file.parent, store)
    return workspace, load(file, workspace.config.for_compiler())


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
    names = [path.name for path in folder.iterdir() if path.suffix in (".yaml", ".yml", ".json")]
    close = difflib.get_close_matches(file.name, names, 1)
    return f"did you mean '{folder / close[0]}'?" if close else ""
