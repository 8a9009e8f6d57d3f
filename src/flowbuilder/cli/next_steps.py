"""What somebody may want to type next, written so that it works from where they stand."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.storage.place import is_url

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView

NAME: Final = "flowbuilder"


def next_steps(view: RunView, store: Path, *, left: bool = False) -> list[tuple[str, str]]:
    """Return commands for somebody who has seen how a run stands, each with what it is for.

    Args:
        view: the run.
        store: where it is kept.
        left: whether its engine, this one, has left it before its end.
    """
    run = view.run_id
    show = (typed(f"runs show {run}", store), "inputs, outputs and every task")
    match view.status:
        case "succeeded":
            return [show, (typed(f"explain --run {run}", store), "what took the time")]
        case "failed":
            task = (view.error or {}).get("task")
            logs = f"runs logs {run}" + (f" {shlex.quote(task)}" if task else "")
            return [(typed(logs, store), "what the task wrote"), show]
        case "cancelled":
            return [show]
        case "paused":
            resume = (typed(f"runs resume {run}", store), "let it go on")
        case _ if left:
            resume = (typed(f"runs resume {run}", store), "carry it on")
        case _:
            resume = (typed(f"runs watch {run}", store), "follow it")
    return [resume, (typed(f"runs cancel {run}", store), "stop it")]


def typed(words: str, store: Path | None = None) -> str:
    """Return a command as it is typed here.

    Args:
        words: what stands behind the program's name.
        store: which store it is about; named only where the command would not find it by itself.
    """
    option = "" if store is None or _is_found(store) else f" --store {shlex.quote(shown(str(store)))}"
    return f"{program()} {words}{option}"


def program() -> str:
    """Return how this program is started here: by its name alone where the shell finds it by that."""
    script = sys.argv[0]
    if os.path.basename(script) != NAME:
        return NAME
    for folder in os.get_exec_path():
        candidate = os.path.join(folder, NAME)
        if os.access(candidate, os.X_OK):
            if os.path.samefile(candidate, script):
                return NAME
            break
    return shlex.quote(shown(script, lead=os.curdir + os.sep))


def shown(path: str, lead: str = "") -> str:
    """Return a path relative to the current folder where it lies below it; `lead` goes before a bare name."""
    if is_url(path):
        return path
    near = os.path.relpath(path)
    if near.startswith(os.pardir):
        return os.path.abspath(path)
    return near if os.sep in near else lead + near


def _is_found(store: Path) -> bool:
    """Tell whether a command without `--store`, typed here, means this store."""
    try:
        return os.path.abspath(store) == os.path.abspath(workspace_at(Path.cwd()).store)
    except (FlowBuilderError, OSError):
        return False
