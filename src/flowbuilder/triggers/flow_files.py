"""Files that hold flows: how they are told from others, and what is in one of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowBuilderError, FlowError
from flowbuilder.core.plan import FlowPlan
from flowbuilder.runtime.plans import SUFFIXES

if TYPE_CHECKING:
    from flowbuilder.runtime.plans import Plans

SKIPPED: Final = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
"""Folders that hold nobody's flows; those whose name begins with a dot are left out too."""
OF_TESTS: Final = (".test.yaml", ".test.yml", ".test.json")
_FLOW_YAML: Final = re.compile(rb"^(?:flow|\"flow\"|'flow')[ \t]*:", re.MULTILINE)
_FLOW_JSON: Final = re.compile(rb"[{,]\s*\"flow\"\s*:")

State = tuple[int, int, int]
"""When a file was changed, in nanoseconds, its size, and which file it is."""


class Loaded(msgspec.Struct):
    """A flow that is in force, and the files that it was made of."""

    path: Path
    """Where it is: its file, or a place in one, `flows.py:report`."""
    file: Path
    plan: FlowPlan
    warnings: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    states: dict[str, State | None]


class Broken(msgspec.Struct):
    """A file, or a flow in it, that cannot be used, and why."""

    path: Path
    file: Path
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()
    states: dict[str, State | None] = {}
    taken: str | None = None
    """The name that another flow has already."""


class Language(Protocol):
    """How flows are written in files of some kind."""

    def is_candidate(self, name: str) -> bool:
        """Tell whether a file of this name may hold a flow."""
        ...

    def is_flow(self, path: Path, text: bytes) -> bool:
        """Tell whether a file means to hold a flow, broken or not; runs nothing of it."""
        ...

    def read(self, path: Path, plans: Plans) -> list[Loaded | Broken]:
        """Return what is in a file; blocks while it reads, and raises nothing."""
        ...


class TextFiles:
    """Flows in YAML and JSON: one a file."""

    def is_candidate(self, name: str) -> bool:
        """Tell whether a file of this name may hold a flow."""
        return is_candidate(name)

    def is_flow(self, path: Path, text: bytes) -> bool:
        """Tell whether a file means to be a flow."""
        return is_flow(path, text)

    def read(self, path: Path, plans: Plans) -> list[Loaded | Broken]:
        """Return the flow of a file, or what is wrong with it."""
        states: dict[str, State | None] = {str(path): state_of(str(path))}
        try:
            checked = plans.compile_file(path)
            states |= {file: state_of(file) for file in map(file_of, checked.sources) if file not in states}
            plan = plans.of_checked(checked)
        except FlowError as error:
            states |= {file: state_of(file) for file in {d.at.file for d in error.diagnostics}}
            return [Broken(path, path, str(error), error.diagnostics, states)]
        except (FlowBuilderError, OSError) as error:
            return [Broken(path, path, str(error), states=states)]
        return [Loaded(path, path, plan, checked.diagnostics, checked.sources, states)]


def is_skipped(folder: str) -> bool:
    """Tell whether nobody's flows lie in a folder of this name."""
    return folder.startswith(".") or folder in SKIPPED


def is_candidate(name: str) -> bool:
    """Tell whether a file of this name may hold a flow in YAML or JSON."""
    return name.endswith(SUFFIXES) and not name.startswith(".") and not name.endswith(OF_TESTS)


def is_flow(path: Path, text: bytes) -> bool:
    """Tell whether a file means to be a flow, broken or not: it has the key `flow`."""
    return bool((_FLOW_JSON if path.suffix == ".json" else _FLOW_YAML).search(text))


def file_of(place: str) -> str:
    """Return the file of a flow, of one in Python too: that of `flows.py:report` is `flows.py`."""
    file, colon, _ = place.rpartition(":")
    return file if colon and file.endswith(".py") else place


def state_of(file: str) -> State | None:
    """Return by what a change of a file is known; None where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
