"""Flows in the Python files of a folder: which files hold some, read without running anything, and what they hold.

A file is imported only if it says itself that it has flows: it imports `flow`
of flowbuilder and uses it outside of functions' bodies (`@flow`, `flow(…)`).
When it changes, or a file of the project that it imports, all of them are
imported again; runs in flight keep the graph that they began with.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import FlowBuilderError, FlowError
from flowbuilder.plugins.project import find_project
from flowbuilder.sdk.pyflows.compiling import compile_built
from flowbuilder.sdk.pyflows.finding import import_file, module_of
from flowbuilder.sdk.pyflows.flows import Flow
from flowbuilder.sdk.pyflows.sources import sources_of, uses_flow
from flowbuilder.tasks.pinned import pin, unpin
from flowbuilder.tasks.python import forget_functions
from flowbuilder.triggers.flow_files import Broken, Loaded, State, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

    from flowbuilder.runtime.plans import Plans

_OF_TESTS: Final = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py|setup\.py")


class PythonFiles:
    """Functions with `@flow`, any number in a file."""

    def __init__(self) -> None:
        self._before: dict[Path, set[str]] = {}
        """What was imported with a file, when that was last done or tried."""
        self._modules: dict[Path, tuple[dict[str, State | None], ModuleType]] = {}
        """What files were when they were imported last, and what came of it."""
        self._versions: dict[Path, dict[Path, str]] = {}
        """Of the flows of a file, by where they are: the versions that are in force."""

    def is_candidate(self, name: str) -> bool:
        """Tell whether a file of this name may hold a flow; tests of Python do not."""
        return name.endswith(".py") and not name.startswith(".") and not _OF_TESTS.fullmatch(name)

    def is_flow(self, path: Path, text: bytes) -> bool:
        """Tell whether a file means to hold flows, by its text."""
        return uses_flow(text)

    def read(self, path: Path, plans: Plans) -> list[Loaded | Broken]:
        """Import a file, and return its flows, each loaded or with what is wrong with it."""
        files = sources_of(path, (module_of(path)[1], find_project(path.parent)))
        states = {file: state_of(file) for file in files}
        known = self._modules.get(path)
        replaced: dict[str, ModuleType] = {}
        if known is not None and known[0] == states:
            module = known[1]
        else:
            try:
                module, replaced = self._import(path, set(files))
            except FlowError as error:
                return [Broken(path, path, str(error), error.diagnostics, states)]
            except FlowBuilderError as error:
                return [Broken(path, path, str(error), states=states)]
            self._modules[path] = (states, module)
        read = [self._flow(path, name, flow, plans, states) for name, flow in _flows_of(module, path)]
        self._keep_for_runs(
            path, {one.path: one.plan.content_hash for one in read if type(one) is Loaded}, replaced
        )
        return read

    def _keep_for_runs(self, path: Path, now: dict[Path, str], replaced: Mapping[str, ModuleType]) -> None:
        """Let runs of versions that are in force no more go on with the functions that they began with."""
        before = self._versions.get(path, {})
        for place, version in before.items():
            if replaced and now.get(place) != version:
                pin(version, replaced)
        for version in now.values():
            unpin(version)
        self._versions[path] = before | now

    def _import(self, path: Path, files: set[str]) -> tuple[ModuleType, dict[str, ModuleType]]:
        before = self._before.get(path)
        # where this one fails, the next one may find parts of it imported
        self._before[path] = files | (before or set())
        for file in files:
            linecache.checkcache(file)
        found = import_file(path, () if before is None else files | before)
        self._before[path] = files
        forget_functions(files)
        return found

    def _flow(
        self, path: Path, name: str, flow: Flow[..., Any], plans: Plans, states: dict[str, State | None]
    ) -> Loaded | Broken:
        place = Path(f"{path}:{name}")
        try:
            loaded = compile_built(flow.build(tolerant=True), plans)
        except FlowError as error:
            return Broken(place, path, str(error), error.diagnostics, states)
        except (Exception, SystemExit) as error:  # what states a flow is the author's code
            return Broken(place, path, f"{type(error).__name__}: {error}", states=states)
        return Loaded(place, path, loaded.plan, loaded.diagnostics, loaded.sources, states)


def _flows_of(module: ModuleType, path: Path) -> list[tuple[str, Flow[..., Any]]]:
    """Return the flows that a module states itself, by the names that they have there."""
    found: dict[int, tuple[str, Flow[..., Any]]] = {}
    for name, value in vars(module).items():
        if isinstance(value, Flow):
            file = inspect.unwrap(value.fn).__code__.co_filename
            if os.path.abspath(file) == str(path):
                found.setdefault(id(value), (name, value))
    return list(found.values())
