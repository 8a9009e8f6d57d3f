"""Finding a Python function by `module:function`, seen from a flow file's folder.

Modules in the folder come first, as for a script that lies there.  Two flows
in two folders may each have a `reports.py`: each gets its own.  An import runs
the author's code and may take long, so nothing here belongs on the loop.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.plugins.from_source import from_source
from flowbuilder.plugins.kinds import MODULES
from flowbuilder.plugins.registry import of_project

if TYPE_CHECKING:
    from types import ModuleType

_importing: Final = threading.RLock()
_of_folder: Final[dict[tuple[Path, str], ModuleType]] = {}
"""Modules that were imported from a folder, by folder and name."""
_depth: Final = threading.local()
"""How many modules this thread is importing here, one from within the other."""
_again: Final = [0]
"""How often something was imported again."""


def find_function(call: str, folder: Path) -> Callable[..., Any]:
    """Return the function that a flow in `folder` means by `call`.

    Raises:
        TaskFailed: `input` if there is no such function; `python.<Class>` for what the import raised.
    """
    module_name, _, path = call.partition(":")
    module = import_module(module_name, folder)
    found: Any = module
    for step in path.split("."):
        if not step or not hasattr(found, step):
            raise _no_function(found, module_name, step or path)
        found = getattr(found, step)
    if not callable(found):
        raise TaskFailed("input", f"'{call}' is no function, but {_article(type(found).__name__)}")
    # a function with `@task` says itself how an engine calls it
    return getattr(found, "__flowbuilder_call__", found)  # type: ignore[no-any-return]


def import_module(name: str, folder: Path) -> ModuleType:
    """Return a module, of the folder if it has it, else from wherever Python finds it.

    Raises:
        TaskFailed: `input` if there is none; `python.<Class>` for what the import raised.
    """
    top = name.partition(".")[0]
    folder = _root_of(name, folder)
    if (main := _script(name, folder)) is not None:
        return main
    if top.startswith(MODULES):  # a plug-in of the project, in a process that may not have it yet
        of_project(folder).all()
    with _importing, _counted():
        try:
            if not _is_in(folder, top):
                _append_path(folder)
                return importlib.import_module(name)
            if (module := _of_folder.get((folder, name))) is None:
                module = _of_folder[folder, name] = _import_from(folder, name)
            return module
        except ModuleNotFoundError as error:
            if error.name is not None and (name + ".").startswith(error.name + "."):
                raise TaskFailed(
                    "input", f"there is no Python module '{error.name}', neither in {folder} nor installed"
                ) from None
            raise _import_failed(name, error) from error
        except (Exception, SystemExit) as error:  # an import runs the author's code
            raise _import_failed(name, error) from error


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    _depth.now = getattr(_depth, "now", 0) + 1
    try:
        yield
    finally:
        _depth.now -= 1


def is_importing() -> bool:
    """Tell whether what this thread does is done by a module that is being imported here for its flows or functions."""
    return bool(getattr(_depth, "now", 0))


def _script(name: str, folder: Path) -> ModuleType | None:
    """Return the script that Python was started with, if a module of the folder is meant that is this script.

    To import it would do all of it again.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or not file.endswith(f"{name.rpartition('.')[2]}.py"):
        return None
    return main if os.path.abspath(file) == str(folder.joinpath(*name.split("."))) + ".py" else None


def _root_of(name: str, folder: Path) -> Path:
    """Return the folder that a module is imported from by its name: above `folder` where that is its package's."""
    packages = tuple(name.split(".")[:-1])
    for length in range(len(packages), 0, -1):
        if folder.parts[-length:] == packages[:length]:
            return folder.parents[length - 1]
    return folder


def import_again(name: str, folder: Path, files: Collection[str]) -> tuple[ModuleType, dict[str, ModuleType]]:
    """Import a module as it is now, with those of its parts that lie in `files`; returns the old ones too, by name.

    Whoever has an object of the old ones keeps it.  Where the import fails, all stays as it was.

    Raises:
        TaskFailed: as `import_module`.
    """
    with _importing, from_source():
        old = {known: module for known, module in sys.modules.copy().items() if _file_of(module) in files}
        kept = {key: module for key, module in _of_folder.items() if _file_of(module) in files}
        for known in old:
            del sys.modules[known]
        for key in kept:
            del _of_folder[key]
        try:
            module = import_module(name, folder)
        except BaseException:
            sys.modules.update(old)
            _of_folder.update(kept)
            raise
        for known, before in old.items():  # what it imports no longer, others may
            sys.modules.setdefault(known, before)
        _again[0] += 1
        return module, old


def times_imported_again() -> int:
    """Return a number that changes when modules were imported again: other processes then have old ones."""
    return _again[0]


def forget() -> None:
    """Have all modules of flows' folders imported anew when they are next needed."""
    with _importing:
        folders = {folder for folder, _ in _of_folder}
        _of_folder.clear()
        for known, module in sys.modules.copy().items():
            if any(_came_from(module, folder) for folder in folders) and known != "__main__":
                del sys.modules[known]


def source_hash(function: Callable[..., Any]) -> tuple[Path, str] | None:
    """Return the file of a function's module and the SHA-256 of what is in it now; None if it has none."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
        if file is None:
            return None
        return Path(file), hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except (OSError, TypeError, ValueError):
        return None


def _is_in(folder: Path, top: str) -> bool:
    return (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()


def _import_from(folder: Path, name: str) -> ModuleType:
    """Import a module of the folder, past those of the same names that are of elsewhere."""
    aside = {
        known: module
        for known, module in sys.modules.copy().items()  # other threads import meanwhile
        if _is_in(folder, known.partition(".")[0]) and not _came_from(module, folder)
    }
    for known in aside:
        del sys.modules[known]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()  # the file may be newer than the finder's list of the folder
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.update(aside)  # the others find theirs again
        _append_path(folder)


def _file_of(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None)


def _came_from(module: ModuleType, folder: Path) -> bool:
    file = _file_of(module)
    return file is not None and Path(file).is_relative_to(folder)


def _append_path(folder: Path) -> None:
    """Let functions import from the folder when they run; at the end, so that it hides nothing from others."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _no_function(found: Any, module: str, name: str) -> TaskFailed:
    import difflib  # start-up time: only for a misspelt name

    close = difflib.get_close_matches(name, [known for known in dir(found) if not known.startswith("_")], 1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    if not name:
        return TaskFailed("input", f"'{module}' names no function: write 'module:function'")
    return TaskFailed("input", f"the module '{module}' has no function '{name}'{hint}")


def _import_failed(name: str, error: BaseException) -> TaskFailed:
    return TaskFailed(f"python.{type(error).__name__}", f"the module '{name}' cannot be imported: {error}")


def _article(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiouAEIOU" else f"a {word}"
