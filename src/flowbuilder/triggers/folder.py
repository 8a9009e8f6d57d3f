"""The flows of a folder: found, read, and read again where a file has changed.

A file that is broken is reported and left out, or keeps its last good
version; it never keeps the others from being read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowBuilderError, FlowError, NotFound
from flowbuilder.core.plan import FlowPlan
from flowbuilder.runtime.plans import SUFFIXES

if TYPE_CHECKING:
    from flowbuilder.runtime.plans import Plans

SKIPPED: Final = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
"""Folders that hold nobody's flows; those whose name begins with a dot are left out too."""
OF_TESTS: Final = (".test.yaml", ".test.yml", ".test.json")
_FLOW_YAML: Final = re.compile(rb"^(?:flow|\"flow\"|'flow')[ \t]*:", re.MULTILINE)
_FLOW_JSON: Final = re.compile(rb"[{,]\s*\"flow\"\s*:")
_HEAD: Final = 1024 * 1024

State = tuple[int, int]
"""When a file was changed, in nanoseconds, and its size."""


class Loaded(msgspec.Struct):
    """A flow that is in force, and the files that it was made of."""

    path: Path
    plan: FlowPlan
    warnings: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    states: dict[str, State | None]


class Broken(msgspec.Struct):
    """A file that cannot be used, and why."""

    path: Path
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, str] = {}
    states: dict[str, State | None] = {}


class Changes(msgspec.Struct):
    """What a look at the folder has brought."""

    loaded: list[Loaded] = []
    """New flows and new versions."""
    removed: list[str] = []
    """Names of flows that are gone."""
    broken: list[Broken] = []
    """Files that have become broken, or are broken otherwise than before."""
    mended: list[Path] = []
    """Files that are no longer broken, and say what they said before."""


class Folder:
    """The flows below a folder, or in one file.

    Args:
        root: the folder; or a file, which is then the only flow.
        plans: compiles them.
        mentioning: only files in which this stands are read.
    """

    def __init__(self, root: Path, plans: Plans, *, mentioning: bytes = b"") -> None:
        self._mentioning = mentioning
        self.root = Path(os.path.abspath(root))
        self._plans = plans
        self.flows: dict[str, Loaded] = {}
        """By name."""
        self.broken: dict[Path, Broken] = {}

    def look(self) -> Changes:
        """Look for what has changed since the last look; blocks while it reads.

        Raises:
            NotFound: there is no such folder.
        """
        if not self.root.exists():
            raise NotFound("folder", str(self.root))
        changes = Changes()
        found = list(self._files())
        by_path = {loaded.path: name for name, loaded in self.flows.items()}
        present = set(found)
        for path in found:
            self._look_at(path, by_path.get(path), changes)
        for path, name in by_path.items():
            if path not in present and self.flows.get(name) is not None and self.flows[name].path == path:
                del self.flows[name]
                changes.removed.append(name)
        for path in [path for path in self.broken if path not in present]:
            del self.broken[path]
        taken = {loaded.plan.name for loaded in changes.loaded}
        changes.removed = [name for name in changes.removed if name not in taken]
        return changes

    def _look_at(self, path: Path, name: str | None, changes: Changes) -> None:
        known = self.flows.get(name) if name is not None else None
        wrong = self.broken.get(path)
        latest = wrong or known
        if latest is not None and all(state_of(file) == state for file, state in latest.states.items()):
            return
        read = self._read(path)
        if read is None:
            if known is not None and wrong is None:  # it says nothing of a flow any more
                del self.flows[known.plan.name]
                changes.removed.append(known.plan.name)
            return
        if type(read) is Loaded:
            other = self.flows.get(read.plan.name)
            if other is not None and other.path != path and other.path.exists():
                read = Broken(
                    path,
                    f"the flow '{read.plan.name}' is in {self.shown(other.path)} too; this one is left out",
                    states=read.states,
                )
        if type(read) is Broken:
            self.broken[path] = read
            if wrong is None or wrong.message != read.message:
                changes.broken.append(read)
            return
        assert type(read) is Loaded
        if self.broken.pop(path, None) is not None:
            changes.mended.append(path)
        if known is not None and known.plan.name != read.plan.name:
            del self.flows[known.plan.name]
            changes.removed.append(known.plan.name)
        self.flows[read.plan.name] = read
        if known is None or known.plan.content_hash != read.plan.content_hash:
            changes.loaded.append(read)

    def _read(self, path: Path) -> Loaded | Broken | None:
        """Return what is in a file; None where it is no flow."""
        states: dict[str, State | None] = {str(path): state_of(str(path))}
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError as error:
            return Broken(path, f"it cannot be read: {error.strerror}", states=states)
        if path != self.root and not is_flow(path, head):
            return None
        if self._mentioning not in head:
            return None
        try:
            checked = self._plans.compile_file(path)
            states = {file: states.get(file) or state_of(file) for file in checked.sources}
            plan = self._plans.of_checked(checked)
        except FlowError as error:
            texts = {d.at.file: "" for d in error.diagnostics}
            states |= {file: state_of(file) for file in texts}
            return Broken(path, str(error), error.diagnostics, states=states)
        except (FlowBuilderError, OSError) as error:
            return Broken(path, str(error), states=states)
        return Loaded(path, plan, checked.diagnostics, checked.sources, states)

    def _files(self) -> Iterator[Path]:
        """Yield files that may hold flows, in the order of their names."""
        if self.root.is_file():
            yield self.root
            return
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not is_skipped(name))
            for name in sorted(files):
                if is_candidate(name):
                    yield Path(folder, name)

    def shown(self, path: Path) -> str:
        """Return a path as people know it: from the folder on."""
        base = self.root.parent if self.root.is_file() else self.root
        return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def is_skipped(folder: str) -> bool:
    """Tell whether nobody's flows lie in a folder of this name."""
    return folder.startswith(".") or folder in SKIPPED


def is_candidate(name: str) -> bool:
    """Tell whether a file of this name may hold a flow."""
    return name.endswith(SUFFIXES) and not name.startswith(".") and not name.endswith(OF_TESTS)


def is_flow(path: Path, text: bytes) -> bool:
    """Tell whether a file means to be a flow, broken or not: it has the key `flow`."""
    return bool((_FLOW_JSON if path.suffix == ".json" else _FLOW_YAML).search(text))


def state_of(file: str) -> State | None:
    """Return by what a change of a file is known; None where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
