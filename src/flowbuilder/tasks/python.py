"""`python`: a function of the author's.  The engine chooses where it runs (`runtime.executors`)."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.api import Work
from flowbuilder.tasks.arrow import Opening, has_references, resolved
from flowbuilder.tasks.hushed import Hushed
from flowbuilder.tasks.modules import find_function, source_hash
from flowbuilder.tasks.params import refuse
from flowbuilder.tasks.pinned import PINNED, pinned_function
from flowbuilder.tasks.specs.commands import PYTHON

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at whether a module's file has changed."""
_NO_ARGUMENTS: Final[tuple[Any, ...]] = ()

_named: Final[dict[str, Callable[..., Any]]] = {}
_tasks: Final[dict[str, Callable[..., Any]]] = {}
"""Functions with `@task`, by their own names."""
_found: Final[dict[tuple[str, Path], _Found]] = {}
"""What calls have named, by that and the flow's folder.  A cache: what it lacks is looked up again."""


def name_function(name: str, function: Callable[..., Any]) -> None:
    """Let flows call a function by a name without a module: what `@task` does."""
    if _named.get(name) is not function:
        _named[name] = function
        for key in [key for key in _found if key[0] == name]:
            del _found[key]


def name_task(name: str, function: Callable[..., Any]) -> None:
    """Let flows call a function by its own name, where nobody has named another one so: the latest has it."""
    if name not in _named:
        for key in [key for key in _found if key[0] == name]:
            del _found[key]
    _tasks[name] = function


def place_of(params: Any, folder: Path) -> str:
    """Return the function that parameters name, and where it stands: `'fetch' (flows.py:12)`; empty if that is not known here."""
    call = params.get("call") if type(params) is dict else None
    found = _found.get((call, folder)) if isinstance(call, str) else None
    code = getattr(inspect.unwrap(found.function), "__code__", None) if found is not None else None
    if code is None:
        return ""
    file = os.path.relpath(code.co_filename, folder)
    shown = code.co_filename if file.startswith(os.pardir) else file
    return f"'{code.co_name}' ({shown}:{code.co_firstlineno})"


def forget_functions(files: Collection[str]) -> None:
    """Have functions that came from these files looked up again by the next attempts: they were imported again."""
    for key, found in list(_found.items()):
        if found.source is not None and str(found.source[0]) in files:
            _found.pop(key, None)


class Python:
    """Looks up the function, once, and hands it on with its arguments."""

    spec = PYTHON

    def work(self, call: Call) -> Work:
        """Return the function and its arguments.

        A function that is not known yet comes unloaded: the import is placed like any other work.

        Raises:
            TaskFailed: `input` if the parameters are wrong.
        """
        # hot: benchmarks/chains.py; one of these for each task
        if call.sensitive:
            work = self._work(call)
            return structs.replace(work, function=Hushed(work.function))
        return self._work(call)

    def _work(self, call: Call) -> Work:
        params = call.params
        try:
            text = params["call"]
            found = _found.get((text, call.folder))
        except (TypeError, KeyError):
            raise TaskFailed("input", "'call' is missing: write 'module:function'") from None
        if PINNED and (old := _as_it_was(text, call)) is not None:
            found = old
        elif found is None:
            found = self._first(text, call)
        elif found.look_at < time.monotonic():
            found.look(call)
        args = params.get("args")
        if type(args) is dict:
            if dict in map(type, args.values()) and has_references(args):  # hot: most arguments are plain
                return self._with_files(found, args, call)
            return Work(found.function, _NO_ARGUMENTS, args, found.name, call)
        if args is None:
            return Work(found.function, _NO_ARGUMENTS, {}, found.name, call)
        if type(args) is list:
            if has_references(args):
                return self._with_files(found, args, call)
            return Work(found.function, tuple(args), {}, found.name, call)
        refuse("args", "a mapping or a list", args)

    @staticmethod
    def _with_files(found: _Found, args: Any, call: Call) -> Work:
        """Return the work of a function that is given files and tables."""
        function = Opening(found.function)
        if type(args) is list:
            given = tuple(resolved(call, value) for value in args)
            return Work(function, given, {}, found.name, call)
        named = {name: resolved(call, value) for name, value in args.items()}
        return Work(function, _NO_ARGUMENTS, named, found.name, call)

    def _first(self, text: Any, call: Call) -> _Found:
        if not isinstance(text, str):
            refuse("call", "a text", text)
        if ":" not in text:
            return self._keep(text, call.folder, self._named_function(text))
        return _Found(_Unloaded(self, text, call.folder), text, None)

    @staticmethod
    def _named_function(name: str) -> Callable[..., Any]:
        function = _named.get(name, _tasks.get(name))
        if function is None:
            raise TaskFailed(
                "input",
                f"there is no task function '{name}' in this process: "
                + (
                    "it stands inside of another function, where only the process that has called that knows it; "
                    "move it to the top of its module"
                    if "<locals>" in name
                    else "write 'module:function'"
                ),
            )
        return getattr(function, "__flowbuilder_call__", function)

    def _keep(self, text: str, folder: Path, function: Callable[..., Any]) -> _Found:
        found = _Found(function, text, source_hash(function))
        _found[text, folder] = found
        return found


def _as_it_was(text: Any, call: Call) -> _Found | None:
    """Return the function that a run of an older version goes on with."""
    if call.plan is None or not isinstance(text, str):
        return None
    function = pinned_function(call.plan.content_hash, text)
    return None if function is None else _Found(function, text, None)


class _Unloaded:
    """A function that is still to be imported (`tasks.api.Unloaded`)."""

    __slots__ = ("_folder", "_text", "_type")

    def __init__(self, type: Python, text: str, folder: Path) -> None:
        self._type = type
        self._text = text
        self._folder = folder

    def load(self) -> Callable[..., Any]:
        """Import it, and let later attempts have it at once."""
        return self._type._keep(self._text, self._folder, find_function(self._text, self._folder)).function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.load()(*args, **kwargs)


class _Found:
    """A function that was looked up, and the file that it came from."""

    __slots__ = ("function", "look_at", "name", "source")

    def __init__(self, function: Callable[..., Any], name: str, source: tuple[Path, str] | None) -> None:
        if ":" not in name:
            inner = inspect.unwrap(function)
            if "<" not in inner.__qualname__ and inner.__module__ != "__main__":
                name = f"{inner.__module__}:{inner.__qualname__}"
        self.function = function
        self.name = name
        self.source = source
        self.look_at = float("inf") if source is None else time.monotonic() + _LOOK_AGAIN

    def look(self, call: Call) -> None:
        """Warn, once, if the file is no longer what was imported."""
        self.look_at = time.monotonic() + _LOOK_AGAIN
        now = source_hash(self.function)
        if now is not None and now != self.source:
            self.look_at = float("inf")
            call.log(
                "warning",
                f"{now[0].name} has changed since it was imported; this engine goes on with what it was",
                None,
            )
