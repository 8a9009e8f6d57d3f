"""Plug-ins of a project: the modules of its `plugins` folder, loaded anew when they change.

A module adds what it has: every class with a `spec` is a task type, and
`PLUGINS` names what is of another kind: `PLUGINS = {"executors": {"gpu": Gpu}}`.
Attempts that run when a file changes end with what they began with.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.plugins.from_source import from_source
from flowbuilder.plugins.installed import instance_of
from flowbuilder.plugins.kinds import FOLDER, GROUPS, MODULES, Kind, Provided, problem_of

if TYPE_CHECKING:
    from types import ModuleType

LOOK_AGAIN: Final = 0.5
"""Seconds between two looks at whether a folder has changed."""

_log = logging.getLogger("flowbuilder.plugins")
_TYPE_NAME: Final = re.compile(r"\bTaskSpec\(\s*(?:name\s*=\s*)?[\"']([A-Za-z0-9_.-]+)[\"']")

Signature = tuple[tuple[str, int, int, int], ...]
"""Files with their times, sizes and inodes."""


class News(msgspec.Struct, frozen=True):
    """What a look at the folder has brought, of one module."""

    origin: str
    """The module, from the project on."""
    names: tuple[str, ...] = ()
    """What it adds now."""
    why: str = ""
    """Why it, or something of it, cannot be used; empty where all can."""
    kept: bool = False
    """It stays as it was, since it cannot be loaded any more."""
    gone: bool = False

    @property
    def message(self) -> str:
        """What there is to say, in words."""
        if self.gone:
            return f"{self.origin} is gone"
        if not self.why:
            return f"{self.origin} is loaded" + (f": {', '.join(self.names)}" if self.names else "")
        if self.kept:
            return f"{self.origin} keeps its last good version"
        rest = f" in part; {', '.join(self.names)} can be used" if self.names else ""
        return f"{self.origin} is left out{rest}"


class ProjectPlugins:
    """The plug-ins of one project.

    Whoever asks for one has the folder looked at, if that was not done just
    now.  While somebody looks at it by himself (`watched`), questions get what
    is known, at once: an import may take long, and must not stop a loop.

    Args:
        project: the project's folder; it need not have plug-ins.
    """

    def __init__(self, project: Path) -> None:
        self.folder = project / FOLDER
        self._lock = threading.RLock()
        self._look_at = 0.0
        self._watchers = 0
        self._read = False
        self._reading = False
        """A plug-in that is being imported asks for plug-ins itself."""
        self._modules: dict[Path, _Module] = {}
        self._found: dict[tuple[Kind, str], Provided] = {}
        self.version = 0
        """Counts how often something has changed."""

    def all(self) -> list[Provided]:
        """Return what the project adds, and what it would add if that could be loaded."""
        return list(self._look().values())

    def get(self, kind: Kind, name: str) -> Provided | None:
        """Return what the project adds under a name; None if it adds nothing there."""
        return self._look().get((kind, name))

    def look_now(self) -> None:
        """Look at the folder again at the next question, however short ago it was looked at."""
        self._look_at = 0.0

    def watched(self, *, begin: bool) -> None:
        """Say that somebody looks by himself from now on; or does no more."""
        with self._lock:
            self._watchers += 1 if begin else -1

    def look(self) -> list[News]:
        """Look at the folder now, and return what has changed; blocks while it imports."""
        with self._lock:
            if self._reading:
                return []
            self._reading = True
            self._look_at = time.monotonic() + LOOK_AGAIN
            try:
                return self._refresh()
            finally:
                self._reading, self._read = False, True

    def _look(self) -> dict[tuple[Kind, str], Provided]:
        if self._read and (self._watchers or time.monotonic() < self._look_at):
            return self._found
        with self._lock:  # whoever comes while it is read for the first time waits, and finds all of it
            if not self._read or time.monotonic() >= self._look_at:
                for news in self.look():
                    level = logging.WARNING if news.why else logging.INFO
                    _log.log(level, "%s%s", news.message, f": {news.why}" if news.why else "")
            return self._found

    def _refresh(self) -> list[News]:
        paths = dict(_modules_in(self.folder))
        news: list[News] = []
        changed = False
        for gone in [path for path in self._modules if path not in paths]:
            news.append(News(self._modules.pop(gone).origin, gone=True))
            changed = True
        for path, files in paths.items():
            module = self._modules.get(path)
            signature = _signature(files)
            if module is None:
                self._modules[path] = module = _Module(path, self.folder)
            if module.signature != signature:
                before = module.provided
                news.append(module.load(signature))
                changed = changed or module.provided is not before
        if changed:
            self.version += 1
            self._found = self._merged()
        return news

    def _merged(self) -> dict[tuple[Kind, str], Provided]:
        found: dict[tuple[Kind, str], Provided] = {}
        for module in self._modules.values():
            for each in module.provided:
                before = found.get((each.kind, each.name))
                if before is not None and not before.why:
                    _log.warning(
                        "'%s' is in %s already: that of %s is left out", each.name, before.origin, each.origin
                    )
                    continue
                found[each.kind, each.name] = each
        return found


class _Module:
    """One module or package of the folder."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self.origin = f"{folder.name}/{path.name}"
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        self._name = f"{MODULES}{digest}_{path.stem}"
        self.signature: Signature = ()
        self.provided: list[Provided] = []

    def load(self, signature: Signature) -> News:
        """Import the module as it is now; one that worked before stays where the new one does not."""
        self.signature = signature
        try:
            if self._path.is_file() and any(not each.why for each in self.provided):
                self._refuse_empty()
            provided = self._things(self._import())
        except (Exception, SystemExit) as error:  # a plug-in may raise anything, a syntax error among it
            why = _why(error, self._path)
            if any(not each.why for each in self.provided):
                return News(self.origin, why=why, kept=True)
            self.provided = [Provided(kind, name, self.origin, None, why) for kind, name in self._promised()]
            return News(self.origin, why=why)
        good = {(each.kind, each.name): each for each in self.provided if not each.why}
        # of what cannot be used any more the last good one stays, as of a module that cannot be loaded
        self.provided = [good.get((each.kind, each.name), each) if each.why else each for each in provided]
        names = tuple(each.name for each in self.provided if not each.why)
        wrong = "; ".join(f"'{each.name}': {each.why}" for each in provided if each.why)
        return News(self.origin, names, wrong, kept=bool(wrong) and len(names) == len(provided))

    def _refuse_empty(self) -> None:
        """Refuse a file that is just being written; one that adds nothing any more is another matter.

        Raises:
            ValueError: it is empty.
        """
        if not self._path.read_bytes().strip():
            raise ValueError("it is empty")

    def _import(self) -> ModuleType:
        package = self._path.is_dir()
        file = self._path / "__init__.py" if package else self._path
        for known in [
            name for name in sys.modules if name == self._name or name.startswith(self._name + ".")
        ]:
            del sys.modules[known]
        spec = importlib.util.spec_from_file_location(
            self._name, file, submodule_search_locations=[str(self._path)] if package else None
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with from_source():
            sys.modules[self._name] = module
            try:
                exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), module.__dict__)
            except BaseException:
                sys.modules.pop(self._name, None)
                raise
        return module

    def _things(self, module: ModuleType) -> list[Provided]:
        """Return what a module adds."""
        found: list[Provided] = []
        for value in list(vars(module).values()):
            spec = getattr(value, "spec", None)
            if isinstance(spec, TaskSpec) and getattr(value, "__module__", self._name).startswith(self._name):
                found.append(self._provided("tasks", spec.name, value))
        declared = getattr(module, "PLUGINS", {})
        for kind in GROUPS:
            for name, value in declared.get(kind, {}).items():
                found.append(self._provided(kind, name, value))
        return found

    def _provided(self, kind: Kind, name: str, value: Any) -> Provided:
        try:
            made = instance_of(kind, value)
        except (Exception, SystemExit) as error:  # as above
            return Provided(kind, name, self.origin, None, _why(error, self._path))
        problem = problem_of(kind, name, made)
        return Provided(kind, name, self.origin, None if problem else made, problem)

    def _promised(self) -> list[tuple[Kind, str]]:
        """Return the task types that a module which cannot be loaded seems to have, by its text."""
        file = self._path / "__init__.py" if self._path.is_dir() else self._path
        with contextlib.suppress(OSError):
            names = _TYPE_NAME.findall(file.read_text("utf-8", errors="replace"))
            if names:
                return [("tasks", name) for name in dict.fromkeys(names)]
        return [("tasks", self._path.stem)]


def _modules_in(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the modules and packages of a folder, each with the files that it is made of."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.name.startswith((".", "_")):
            continue
        if path.suffix == ".py" and path.is_file():
            yield path, [path]
        elif (path / "__init__.py").is_file():
            yield path, sorted(path.rglob("*.py"))


def _signature(files: list[Path]) -> Signature:
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            state = file.stat()
            found.append((str(file), state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


def _why(error: BaseException, path: Path) -> str:
    """Return what an import has raised, with the line of the plug-in that it came from."""
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or path).name}:{error.lineno}: {error.msg}"
    root = str(path if path.is_dir() else path.parent) + os.sep
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(root)]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())[:300]}"
