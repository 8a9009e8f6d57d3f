"""Finding a flow by where it is: `flows.py:report`, `package.module:report`, `flows.py` with one flow in it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import NotFound, TaskFailed
from flowbuilder.core.span import Span
from flowbuilder.sdk.pyflows.flows import find_flow
from flowbuilder.sdk.pyflows.places import shown_file
from flowbuilder.sdk.pyflows.problems import as_error
from flowbuilder.tasks.modules import import_again, import_module

if TYPE_CHECKING:
    from types import ModuleType

    from flowbuilder.sdk.pyflows.flows import Flow


def find(reference: str) -> Flow[..., Any]:
    """Return the flow that a text names.

    A module is looked for from the current folder on, a file where its path says.

    Raises:
        NotFound: there is no such module, file or flow.
        FlowError: the module cannot be imported; at the line that is wrong.
    """
    where, colon, name = reference.rpartition(":")
    if not colon:
        where, name = reference, ""
    module = _of_file(where) if where.endswith(".py") else _of_name(where)
    return find_flow(module, name, where)


def _of_file(where: str) -> ModuleType:
    path = Path(os.path.abspath(where))
    if not path.is_file():
        raise NotFound("file", where, _near(path))
    return import_file(path)[0]


def import_file(path: Path, again: Collection[str] = ()) -> tuple[ModuleType, dict[str, ModuleType]]:
    """Return the module that a file is, in whatever package it lies.

    Args:
        path: the file, in full.
        again: files that are to be read again where they were imported before; then their old modules are
            returned too, by name.

    Raises:
        NotFound: its name is none of a module.
        FlowError: it cannot be imported; at the line that is wrong.
    """
    steps, folder = module_of(path)
    if not all(step.isidentifier() for step in steps):
        hint = "a file that is imported is named with letters, digits and '_'"
        raise NotFound("module", str(path), hint)
    main = sys.modules.get("__main__")
    if main is not None and os.path.abspath(getattr(main, "__file__", None) or "") == str(path):
        return main, {}
    return _imported(".".join(steps), folder, path, again)


def module_of(path: Path) -> tuple[list[str], Path]:
    """Return the steps of the name that a file is imported by, and the folder where that name begins."""
    steps, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():  # a file of a package is imported as its part
        steps.insert(0, folder.name)
        folder = folder.parent
    if steps[-1] == "__init__" and len(steps) > 1:
        steps.pop()
    return steps, folder


def _of_name(where: str) -> ModuleType:
    here = Path.cwd()
    if str(here) not in sys.path:
        sys.path.insert(0, str(here))
    if where in sys.modules:
        return sys.modules[where]
    return _imported(where, here, None)[0]


def _imported(
    name: str, folder: Path, path: Path | None, again: Collection[str] = ()
) -> tuple[ModuleType, dict[str, ModuleType]]:
    try:
        return import_again(name, folder, again) if again else (import_module(name, folder), {})
    except TaskFailed as failed:
        cause = failed.__cause__
        if cause is None:
            raise NotFound("module", name, f"looked for in {folder}, and among what is installed") from None
        raise as_error([_finding(name, cause, path)]) from cause


def _finding(name: str, error: BaseException, path: Path | None) -> Diagnostic:
    """Return what kept a module from being imported, at the author's line."""
    if isinstance(error, SyntaxError) and error.filename:
        line, column = error.lineno or 1, error.offset or 1
        span = Span(shown_file(error.filename), line, column, line, column + 1)
        return Diagnostic("FB296", f"the module '{name}' is no Python: {error.msg}", span)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _is_authors(frame.filename, path)
    ]
    if frames:
        last = frames[-1]
        start = (last.colno or 0) + 1
        same_line = last.end_lineno in (None, last.lineno)
        span = Span(
            shown_file(last.filename),
            last.lineno or 1,
            start,
            last.lineno or 1,
            (last.end_colno or start) + 1 if same_line else start + 1,
        )
    else:
        span = Span(shown_file(str(path or name)), 1, 1, 1, 2)
    what = f"the module '{name}' cannot be imported: {type(error).__name__}: {str(error)[:300]}"
    hint = "install it, or set PYTHONPATH" if isinstance(error, ImportError) else ""
    return Diagnostic("FB296", what, span, (hint,) if hint else ())


def _is_authors(file: str, path: Path | None) -> bool:
    if path is not None:
        return file.startswith(str(path.parent))
    return file.startswith(os.getcwd())


def _near(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return ""
    names = [each.name for each in path.parent.iterdir() if each.suffix == ".py"]
    close = difflib.get_close_matches(path.name, names, 1)
    return f"did you mean '{path.with_name(close[0])}'?" if close else ""
