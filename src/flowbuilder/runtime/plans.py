"""From a flow's text to its plan, once for each version."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.collector import collector_paused
from flowbuilder.compiler.inputs import input_checker
from flowbuilder.compiler.limits import Limits
from flowbuilder.compiler.passes import optimize
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.compiler.read.source import WrittenFrom
from flowbuilder.compiler.sealed import seal_flow
from flowbuilder.core import values
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowError, NotFound
from flowbuilder.core.span import Span
from flowbuilder.plugins.registry import made
from flowbuilder.plugins.registry import version as plugins_version
from flowbuilder.runtime.front_ends import translated
from flowbuilder.runtime.kept_plans import KeptPlans, remember
from flowbuilder.tasks.registry import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowbuilder.compiler import ir
    from flowbuilder.compiler.pipeline import Checked
    from flowbuilder.core.catalogue import TaskSpec
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.storage.api import RunRow

SUFFIXES = (".yaml", ".yml", ".json")
"""What a flow file's name ends in, in the order in which a name is looked for."""
FOLDER: Final = "folder"
"""In `RunRow.about`: where the run's flow lies, if its version was first seen elsewhere."""
SEALED: Final = "sensitive"
"""In `RunRow.about`: all of the run is sensitive, as the task is that started it."""
HIDDEN: Final = "sensitive_inputs"
"""In `RunRow.about`: inputs that were given something sensitive, beside those that the flow says are so."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How a file in UTF-16 begins."""


class Definition(msgspec.Struct, frozen=True):
    """All texts that a version of a flow is made of, as the store keeps them."""

    file: str
    """The flow's own file."""
    sources: dict[str, str]
    """By file, those of its constant sub-flows among them."""
    folder: str = ""
    """Where the file lay, in full; empty where an early release wrote this."""
    written_from: dict[str, list[WrittenFrom]] = {}
    """Where the parts of texts come from that a front end wrote, by file."""

    @property
    def home(self) -> Path:
        """The folder in which the version was first seen."""
        return Path(self.folder) if self.folder else Path(self.file).absolute().parent


class Plans:
    """Compiles flows, and keeps the plans of versions that are in use, or were lately.

    Args:
        limits: what bounds the files.
        steps: what bounds one evaluation of an expression.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        steps: int = 1_000_000,
    ) -> None:
        self._limits = limits or Limits()
        self._steps = steps
        self._plans = KeptPlans()
        self._versions: dict[Path, int] = {}
        """Of the plug-ins that were seen last, by the folder of flows."""
        self._elsewhere = KeptPlans()
        """Of files with the same text in other folders."""
        self._homes: dict[str, Path] = {}
        """The folders of the versions that the store has kept."""
        self._beside: dict[tuple[str, str, str, Path], Path] = {}
        """The folders of constant sub-flows, by version, file, their parent's version and its folder."""

    def compile_file(self, path: Path) -> Checked:
        """Read and check a flow file.

        Raises:
            FlowError: with every finding.
            NotFound: there is no such file.
        """
        if (front_end := _front_end(path)) is not None:
            return self._translated(path, front_end)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound("file", str(path)) from None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FlowError((no_text(str(path), data, error.start),)) from None
        return self._check(text, str(path), read_beside)

    def _translated(self, path: Path, front_end: Any) -> Checked:
        """Check what a plug-in's front end makes of a file; findings are at the places in that file."""
        if not path.is_file():
            raise NotFound("file", str(path))
        read = translated(path, front_end)
        try:
            checked = self._check(read.text, str(path), read_beside)
        except FlowError as error:
            raise FlowError(read.placed(error.diagnostics, str(path))) from None
        return msgspec.structs.replace(checked, diagnostics=read.placed(checked.diagnostics, str(path)))

    def compile_text(
        self,
        text: str,
        file: str,
        resolve: Callable[[str, str], str],
        written_from: Mapping[str, Sequence[WrittenFrom]] = {},
    ) -> Checked:
        """Check a flow's text, as if it stood in a file.

        Args:
            text: YAML or JSON.
            file: where it is said to be.
            resolve: returns the text of a flow that another one calls, as `read_beside` does.
            written_from: where the parts of texts come from that a front end wrote, by file.

        Raises:
            FlowError: with every finding.
        """
        return self._check(text, file, resolve, written_from)

    def _check(
        self,
        text: str,
        file: str,
        resolve: Callable[[str, str], str],
        written_from: Mapping[str, Sequence[WrittenFrom]] = {},
    ) -> Checked:
        return compile_text(
            text,
            file,
            catalogue=self._catalogue(file),
            resolve=resolve,
            limits=self._limits,
            written_from=written_from,
        )

    def _catalogue(self, file: str) -> Mapping[str, TaskSpec]:
        """Return the task types there are for a file; plans are made anew when its project's plug-ins change."""
        folder = Path(file).absolute().parent
        now = plugins_version(folder)
        if self._versions.setdefault(folder, now) != now:
            self._versions[folder] = now
            self._plans.clear()
            self._elsewhere.clear()
        return catalogue(folder)

    def of_checked(self, checked: Checked) -> FlowPlan:
        """Return the plan of a flow that was checked."""
        file = checked.flow.at.file
        written_from = {name: list(parts) for name, parts in checked.written_from.items()}
        definition = Definition(file, dict(checked.sources), str(Path(file).absolute().parent), written_from)
        plan = self._plan(checked.flow, definition)
        return self._in_folder(plan, definition.home)

    def of_run(self, row: RunRow, definition: bytes) -> FlowPlan:
        """Return the plan of a run, in the folder that its flow was started from.

        The same text may lie in several folders: it is one version, and the
        store keeps it once.  A run of another folder than the first keeps
        its own (`FOLDER`).
        """
        plan = self.of_definition(row.flow_hash, definition)
        about = values.decode(row.about) if row.about is not None else {}
        if (folder := about.get(FOLDER)) is not None:
            plan = self._in_folder(plan, Path(folder))
        return self.sealed(plan) if about.get(SEALED) else plan

    def sealed(self, plan: FlowPlan) -> FlowPlan:
        """Return the plan for a run of which everything is sensitive."""
        if plan.sealed:
            return plan
        version = (plan.content_hash, plan.folder, SEALED)
        found = self._elsewhere.get(version)
        if found is None:
            kept = msgspec.msgpack.decode(plan.definition, type=Definition)
            with collector_paused():
                found = self._make(seal_flow(self._checked(kept).flow), kept)
            found.content_hash, found.folder = plan.content_hash, plan.folder
            self._elsewhere.put(version, found)
        return found

    def of_definition(self, content_hash: str, definition: bytes) -> FlowPlan:
        """Return the plan of a version that the store has kept."""
        plan, home = self._plans.get(content_hash), self._homes.get(content_hash)
        if plan is not None and home is not None:
            return self._in_folder(plan, home)
        kept = msgspec.msgpack.decode(definition, type=Definition)
        home = remember(self._homes, content_hash, kept.home)
        if plan is not None:
            return self._in_folder(plan, home)
        return self._plan(self._checked(kept).flow, kept, content_hash)

    def to_look_at(self, content_hash: str, definition: bytes | None) -> FlowPlan | None:
        """Return the plan of a version by which its runs are shown.

        None where it is not kept any more, or cannot be made, as a plug-in that it needs has gone: what was
        done can be looked at all the same.
        """
        try:
            return None if definition is None else self.of_definition(content_hash, definition)
        except FlowError:
            return None

    def _checked(self, kept: Definition) -> Checked:
        """Check the texts of a version again."""
        sources = kept.sources

        def resolve(path: str, from_file: str) -> str:
            return sources[beside(path, from_file)]

        return self._check(sources[kept.file], kept.file, resolve, kept.written_from)

    def of_flow(self, flow: Any, parent: FlowPlan, *, fixed: bool = False) -> FlowPlan:
        """Return the plan of a constant sub-flow, made of its parent's texts; it lies where it lies from there.

        Args:
            flow: the sub-flow.
            parent: the plan of the flow that starts it, in the folder that this lies in.
            fixed: its path starts at the root.
        """
        place = (flow.content_hash, flow.at.file, parent.content_hash, parent.folder)
        folder, plan = self._beside.get(place), self._plans.get(flow.content_hash)
        if folder is None or plan is None:
            kept = msgspec.msgpack.decode(parent.definition, type=Definition)
            from_there = Path(flow.at.file).parent if fixed else None
            folder = from_there or _from_there(flow.at.file, kept.file, parent.folder)
            remember(self._beside, place, folder)
            plan = self._plan(flow, Definition(flow.at.file, kept.sources, str(folder), kept.written_from))
        return self._in_folder(plan, folder)

    def know(self, plan: FlowPlan) -> None:
        """Use this plan for its version from here on."""
        self._plans.put(plan.content_hash, plan)

    def named(self, name: str, folder: Path) -> FlowPlan:
        """Return the plan of the flow with a name, from the file of that name in a folder.

        Raises:
            NotFound: there is no such file.
            FlowError: it is wrong.
        """
        for suffix in SUFFIXES:
            path = folder / (name + suffix)
            if path.is_file():
                return self.of_checked(self.compile_file(path))
        raise NotFound("flow", name, f"looked for {name}.yaml in {folder}")

    def _plan(self, flow: Any, definition: Definition, content_hash: str | None = None) -> FlowPlan:
        content_hash = content_hash or flow.content_hash
        plan = self._plans.get(content_hash)
        if plan is None:
            with collector_paused():
                plan = self._make(flow, definition)
            plan.content_hash = content_hash
            plan.folder = definition.home
            self._plans.put(content_hash, plan)
        return plan

    def _in_folder(self, plan: FlowPlan, folder: Path) -> FlowPlan:
        """Return the plan for a file of the same text in another folder: its paths start there."""
        if plan.folder == folder:
            return plan
        found = self._elsewhere.get((plan.content_hash, folder))
        if found is None:
            elsewhere = msgspec.structs.replace(plan, folder=folder)
            found = self._elsewhere.put((plan.content_hash, folder), elsewhere)
        return found

    def _make(self, flow: ir.Flow, definition: Definition) -> FlowPlan:
        better = optimize(flow).flow
        return generate(
            better,
            definition=msgspec.msgpack.encode(definition),
            check_inputs=input_checker(flow),
            steps=self._steps,
        )


def no_text(file: str, data: bytes, at: int) -> Diagnostic:
    """Return the finding that a file is no text in UTF-8, at its first byte that cannot be read."""
    before = data[:at].decode("utf-8")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    hint = "it is UTF-16: save it as UTF-8" if data[:2] in UTF_16 else "flows are text in UTF-8"
    span = Span(file, line, column, line, column + 1)
    return Diagnostic("FB101", f"this is no text in UTF-8: byte 0x{data[at]:02x}", span, (hint,))


def file_of(definition: bytes) -> Path:
    """Return the file that a version of a flow was first read from."""
    return Path(msgspec.msgpack.decode(definition, type=Definition).file)


def home_of(definition: bytes) -> Path:
    """Return the folder that a version of a flow was first read from."""
    return msgspec.msgpack.decode(definition, type=Definition).home


def folder_of(row: RunRow, definition: bytes) -> Path:
    """Return the folder that a run's flow was started from."""
    own = values.decode(row.about).get(FOLDER) if row.about is not None else None
    return home_of(definition) if own is None else Path(own)


def _from_there(file: str, parent_file: str, folder: Path) -> Path:
    """Return the folder of a sub-flow's file, for a parent whose own file lies in `folder`."""
    if Path(file).is_absolute() and not Path(parent_file).is_absolute():
        return Path(file).parent
    way = os.path.relpath(Path(file).parent, Path(parent_file).parent)
    return Path(os.path.normpath(folder / way))


def beside(path: str, from_file: str) -> str:
    """Return the path of a file that another one names: relative ones start at its folder."""
    return str(Path(from_file).parent / path)


def _front_end(path: Path) -> Any:
    """Return what reads a file whose suffix a plug-in has taken on; None for YAML, JSON and all else."""
    suffix = path.suffix.removeprefix(".")
    if not suffix or path.suffix in SUFFIXES:
        return None
    return made("frontends", suffix, path.absolute().parent)


def read_beside(path: str, from_file: str) -> str:
    """Return the text of a flow in a file that another one names, whatever language that is written in."""
    file = Path(beside(path, from_file))
    if (front_end := _front_end(file)) is not None:
        return translated(file, front_end).text
    if file.suffix.startswith(".py"):
        from flowbuilder.plugins.kinds import BUILT_IN

        module, _, attribute = BUILT_IN["frontends"]["py"].partition(":")
        read: str = getattr(importlib.import_module(module), attribute)().read(file)
        return read
    return file.read_text("utf-8")
