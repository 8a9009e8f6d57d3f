"""Checks the names in a test against its flow, before anything runs: of tasks, types, approvals, signals, outputs."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const, Dict
from flowbuilder.compiler.nearest import nearest
from flowbuilder.compiler.passes.graphs import all_tasks
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowError, NotFound
from flowbuilder.core.span import Span
from flowbuilder.sdk.load import load
from flowbuilder.tasks.registry import catalogue
from flowbuilder.testing.cases.case import TYPE
from flowbuilder.testing.cases.mocks import is_mocked, plain_path, type_of
from flowbuilder.testing.cases.prepared import settings_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.testing.cases.case import Case, Expected, Sending, Suite

_START: Final = Span("", 1, 1, 1, 1)
_MOST: Final = 10
"""Names that are told where none is near."""


class Mistake(msgspec.Struct, frozen=True):
    """A name in a test that the flow does not have."""

    what: str
    hint: str = ""
    at: Span | None = None
    code: str = "FB220"

    @property
    def text(self) -> str:
        """Return it in one line, with its place if it has one."""
        return f"{self.what}{f' ({self.at})' if self.at else ''}; {self.hint}".rstrip("; ")


def mistakes_of(suite: Suite) -> list[Diagnostic]:
    """Return all names in a file of tests that its flow does not have; nothing of a flow that is wrong itself."""
    if not suite.cases:
        return []
    path, at = suite.cases[0].flow, suite.cases[0].at or _START
    try:
        flow = load(path, settings_of(path).for_compiler()).flow
    except FlowError:
        return []  # that is told where the flow is checked
    except NotFound as error:
        return [Diagnostic("FB250", str(error), at)]
    found: dict[Diagnostic, None] = {}  # what stands in `defaults` is wrong in each test
    for case in suite.cases:
        for look in (mistaken_mocks, mistaken_sendings, mistaken_expectations):
            for wrong in look(case, flow):
                hints = (wrong.hint,) if wrong.hint else ()
                found[Diagnostic(wrong.code, wrong.what, wrong.at or case.at or at, hints)] = None
    return list(found)


def mistaken_mocks(case: Case, flow: ir.Flow) -> Iterator[Mistake]:
    """Yield the mocks that stand for no task or for no type."""
    tasks = dict(_types(flow))
    types = _known_types(case, tasks)
    for name, mock in case.mocks.items():
        if name.startswith(TYPE):
            yield from _type(name, types, "to be mocked", mock.at)
        elif not any(is_mocked({name: mock}, path, type) for path, type in tasks.items()):
            yield Mistake(f"there is no task '{name}' to be mocked", _hint(name, tasks), mock.at)


def mistaken_sendings(case: Case, flow: ir.Flow) -> Iterator[Mistake]:
    """Yield what is sent to nobody: decisions that no task asks for, signals that none waits for."""
    approvals = [path for path, task in all_tasks(flow) if type(task.work) is ir.Approval]
    signals = _signals(flow)
    for sending in _sendings(case):
        name = sending.name
        if sending.what in ("approve", "reject") and plain_path(name) not in approvals:
            hint = _hint(name, approvals)
            yield Mistake(f"{sending.what}: no task '{name}' asks for approval", hint, sending.place)
        elif sending.what == "signal" and signals is not None and name not in signals:
            yield Mistake(f"signal: no task waits for '{name}'", _hint(name, signals), sending.place)


def mistaken_expectations(case: Case, flow: ir.Flow) -> Iterator[Mistake]:
    """Yield the names of tasks, types and outputs that are expected and that there are not."""
    tasks = dict(_types(flow))
    own = [path for path, _ in all_tasks(flow)]
    types = _known_types(case, tasks)
    outputs = _keys(flow.outputs)
    for expected, is_run in _expectations(case):
        for key, name, at in expected.named:
            if key == "calls":
                if name.startswith(TYPE):
                    yield from _type(name, types, "to be called", at)
                elif not any(fnmatch.fnmatchcase(path, plain_path(name)) for path in tasks):
                    yield Mistake(f"calls: there is no task '{name}'", _hint(name, tasks), at)
            elif key == "outputs":
                if outputs is not None and name not in outputs:
                    yield Mistake(f"outputs: the flow has no output '{name}'", _hint(name, outputs), at)
            elif is_run and plain_path(name) not in own:  # those of several runs together are names of runs
                yield Mistake(f"{key}: there is no task '{name}'", _hint(name, own), at)


def _types(flow: ir.Flow, under: str = "") -> Iterator[tuple[str, str]]:
    """Yield the types of all tasks by path, those of constant sub-flows as `task/inner`."""
    for path, task in all_tasks(flow):
        yield under + path, type_of(task.work)
        if isinstance(task.work, ir.SubFlow) and task.work.flow is not None:
            yield from _types(task.work.flow, f"{under}{path}/")


def _known_types(case: Case, tasks: dict[str, str]) -> set[str]:
    return {*tasks.values(), *catalogue(case.flow.absolute().parent)}


def _type(name: str, types: Collection[str], what_for: str, at: Span | None) -> Iterator[Mistake]:
    bare = name.removeprefix(TYPE)
    if bare not in types:
        yield Mistake(f"there is no task type '{bare}' {what_for}", nearest(bare, types), at, "FB206")


def _hint(name: str, known: Collection[str]) -> str:
    there = ", ".join(list(known)[:_MOST])
    return nearest(name, known) or (f"there are {there}" if there else "there are none")


def _signals(flow: ir.Flow) -> list[str] | None:
    """Return the names of the signals that the flow waits for; None where some are made while it runs."""
    names = []
    for _, task in all_tasks(flow):
        if type(task.work) is ir.Wait and task.work.signal:
            name = _value(task.work.params, "name")
            if not isinstance(name, str):
                return None
            names.append(name)
    return names


def _value(mapping: Expr, key: str) -> object:
    """Return the constant under a key of a mapping; None where it is none."""
    if type(mapping) is Const and isinstance(mapping.value, dict):
        return mapping.value.get(key)
    if type(mapping) is Dict:
        for name, value in mapping.items:
            if type(name) is Const and name.value == key and type(value) is Const:
                return value.value
    return None


def _keys(mapping: Expr | None) -> list[str] | None:
    """Return the keys of a mapping; None where they are made while the flow runs."""
    if mapping is None:
        return []
    if type(mapping) is Const and isinstance(mapping.value, dict):
        return list(mapping.value)
    if type(mapping) is Dict and all(type(name) is Const for name, _ in mapping.items):
        return [str(name.value) for name, _ in mapping.items if type(name) is Const]
    return None


def _sendings(case: Case) -> Iterator[Sending]:
    for run in case.starts:
        yield from run.sendings


def _expectations(case: Case) -> Iterator[tuple[Expected, bool]]:
    for run in case.starts:
        yield run.expected, True
    if case.runs:
        yield case.expected, False
