"""The flows of a folder: found, read, and read again where a file has changed.

A file that is broken is reported and left out, or keeps its last good
version; it never keeps the others from being read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.errors import NotFound
from flowbuilder.triggers.flow_files import Broken, Language, Loaded, State, TextFiles, is_skipped, state_of

if TYPE_CHECKING:
    from flowbuilder.runtime.plans import Plans

_log = logging.getLogger("flowbuilder.triggers")

_HEAD: Final = 1024 * 1024


class Changes(msgspec.Struct):
    """What a look at the folder has brought."""

    loaded: list[Loaded] = []
    """New flows and new versions."""
    renewed: list[Loaded] = []
    """Flows that say what they said, and were made anew: with other plug-ins, or other functions."""
    removed: list[str] = []
    """Names of flows that are gone."""
    broken: list[Broken] = []
    """Files that have become broken, or are broken otherwise than before."""
    mended: list[Path] = []
    """Those that are no longer broken, and say what they said before."""


class Folder:
    """The flows below a folder, or in one file.

    Args:
        root: the folder; or a file, which is then the only one.
        plans: compiles them.
        languages: what reads files; YAML and JSON unless others are given.
        mentioning: only files in which this stands are read.
    """

    def __init__(
        self, root: Path, plans: Plans, languages: Sequence[Language] = (), *, mentioning: bytes = b""
    ) -> None:
        self._mentioning = mentioning
        self.root = Path(os.path.abspath(root))
        self._plans = plans
        self._languages: tuple[Language, ...] = (TextFiles(), *languages)
        self._nothing: dict[Path, State | None] = {}
        """Files that hold no flow, as they were when that was found out."""
        self.flows: dict[str, Loaded] = {}
        """By name."""
        self.broken: dict[Path, Broken] = {}

    def look(self, *, all_anew: bool = False) -> Changes:
        """Look for what has changed since the last look; blocks while it reads.

        Args:
            all_anew: read what has not changed too: what it is made with has.

        Raises:
            NotFound: there is no such folder.
        """
        if not self.root.exists():
            raise NotFound("folder", str(self.root))
        changes = Changes()
        # those in Python first: others may call them, as they are now
        found = sorted(self._files(), key=lambda path: path.suffix != ".py")
        for path in found:
            self._look_at(path, changes, anew=all_anew)
        present = set(found)
        for name, loaded in list(self.flows.items()):
            if loaded.file not in present:
                self._remove(name, changes)
        for path, broken in list(self.broken.items()):
            if broken.file not in present:
                del self.broken[path]
            elif broken.taken is not None and broken.taken not in self.flows:  # the name is free now
                self._look_at(broken.file, changes, anew=True)
        for gone in self._nothing.keys() - present:
            del self._nothing[gone]
        taken = {loaded.plan.name for loaded in changes.loaded}
        changes.removed = [name for name in changes.removed if name not in taken]
        return changes

    def _look_at(self, file: Path, changes: Changes, *, anew: bool) -> None:
        known = {loaded.path: loaded for loaded in self.flows.values() if loaded.file == file}
        wrong = {path: broken for path, broken in self.broken.items() if broken.file == file}
        if not anew and not self._has_changed(file, [*wrong.values(), *known.values()]):
            return
        read = self._read(file, is_known=bool(known))
        if not any(type(each) is Broken and each.path == file for each in read):
            here = {each.path for each in read}  # of what is wholly broken nobody knows what it holds
            for path in wrong.keys() - here:
                del self.broken[path]
            for path, loaded in known.items():
                if path not in here:
                    self._remove(loaded.plan.name, changes)
        for each in read:
            self._take(each, known.get(each.path), wrong.get(each.path), changes)

    def _has_changed(self, file: Path, latest: Sequence[Loaded | Broken]) -> bool:
        if not latest:  # it holds no flow, or has never been seen
            return file not in self._nothing or self._nothing[file] != state_of(str(file))
        return any(state_of(one) != state for each in latest for one, state in each.states.items())

    def _take(
        self, read: Loaded | Broken, known: Loaded | None, wrong: Broken | None, changes: Changes
    ) -> None:
        """Put what a file says in place of what it said."""
        if type(read) is Loaded:
            read = self._unless_taken(read)
        if type(read) is Broken:
            self.broken[read.path] = read
            if wrong is None or wrong.message != read.message:
                changes.broken.append(read)
            return
        assert type(read) is Loaded
        was_broken = self.broken.pop(read.path, None) is not None
        if known is not None and known.plan.name != read.plan.name:
            self._remove(known.plan.name, changes)
        self.flows[read.plan.name] = read
        if known is None or known.plan.content_hash != read.plan.content_hash:
            changes.loaded.append(read)
            return
        changes.renewed.append(read)
        if was_broken:
            changes.mended.append(read.path)

    def _unless_taken(self, read: Loaded) -> Loaded | Broken:
        name = read.plan.name
        other = self.flows.get(name)
        if other is None or other.path == read.path or not other.file.exists():
            return read
        message = f"the flow '{name}' is in {self.shown(other.path)} too; this one is left out"
        return Broken(read.path, read.file, message, states=read.states, taken=name)

    def _remove(self, name: str, changes: Changes) -> None:
        del self.flows[name]
        changes.removed.append(name)

    def _read(self, file: Path, *, is_known: bool) -> list[Loaded | Broken]:
        """Return what is in a file; nothing where it holds no flow."""
        state = state_of(str(file))
        self._nothing.pop(file, None)
        try:
            with file.open("rb") as opened:
                head = opened.read(_HEAD)
        except OSError as error:
            return [Broken(file, file, f"it cannot be read: {error.strerror}", states={str(file): state})]
        if is_known and not head.strip():  # it is just being written
            return [Broken(file, file, "it is empty", states={str(file): state})]
        language = next((one for one in self._languages if one.is_candidate(file.name)), self._languages[0])
        if (file != self.root and not language.is_flow(file, head)) or self._mentioning not in head:
            self._nothing[file] = state
            return []
        try:
            str(file).encode()
            read = language.read(file, self._plans)
        except UnicodeEncodeError:
            read = [Broken(file, file, "its name is no text in UTF-8", states={str(file): state})]
        except Exception as error:  # one file never keeps the others from being read
            _log.exception("%s cannot be read", self.shown(file))
            what = f"it cannot be read: {type(error).__name__}: {error}"
            read = [Broken(file, file, what, states={str(file): state})]
        if not read:
            self._nothing[file] = state
        return read

    def is_candidate(self, name: str) -> bool:
        """Tell whether a file of this name may hold a flow."""
        return any(language.is_candidate(name) for language in self._languages)

    def made_of(self, path: str) -> bool:
        """Tell whether flows were made of a file."""
        known: list[Loaded | Broken] = [*self.flows.values(), *self.broken.values()]
        return any(path in each.states for each in known)

    def _files(self) -> Iterator[Path]:
        """Yield files that may hold flows, in the order of their names."""
        if self.root.is_file():
            yield self.root
            return
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not is_skipped(name))
            for name in sorted(files):
                if self.is_candidate(name):
                    yield Path(folder, name)

    def shown(self, path: Path) -> str:
        """Return a path as people know it: from the folder on."""
        base = self.root.parent if self.root.is_file() else self.root
        found = str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
        return found.encode(
            "utf-8", "backslashreplace"
        ).decode()  # a name that is no text is still to be shown
