"""What stands for tasks in a test: the flow is rewritten so that a mock is called in their place.

The rewriting is of the flow's representation, before it is optimised: all
that is said around the work of a task (conditions, maps, retries, time
limits, `on_error`) is carried out as ever.
"""

from __future__ import annotations

import fnmatch
import hashlib
import heapq
import inspect
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import At, Const, Dict
from flowbuilder.compiler.passes.graphs import rewrite_tasks
from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.masking import Masker
from flowbuilder.tasks.modules import find_function
from flowbuilder.testing.cases.case import TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.core.clock import Clock
    from flowbuilder.core.span import Span
    from flowbuilder.tasks.api import Call
    from flowbuilder.testing.cases.case import Answer, Mock

MOCK: Final = "$mock"
"""The task type that stands for others; no author can write it."""
REACHES_OUT: Final = frozenset({"http", "shell", "script", "python", "sql", "file", "email", "llm", "agent"})
"""Types that do something outside of the engine."""
_TIMES: Final = re.compile(r"[#@]\d+")
_INDEXES: Final = re.compile(r"\[[^\]]*\]|[#@]\d+")
"""What a path has in a run and not in the file: elements, attempts of groups, rounds."""


def plain_path(path: str) -> str:
    """Return a path as the file has it: `build#2.compile[3]` → `build.compile`."""
    return _INDEXES.sub("", path)


def once_path(path: str) -> str:
    """Return a path without rounds and attempts of groups, which are one after the other: `loop@2` → `loop`."""
    return _TIMES.sub("", path)


def type_of(work: ir.Work) -> str:
    """Return the task type of a work, as authors write it."""
    match work:
        case ir.Invoke(type=name):
            return name
        case ir.Compute():
            return "set"
        case ir.SubFlow():
            return "flow"
        case _:
            return type(work).__name__.lower()


def is_mocked(mocks: Mapping[str, Mock], path: str, type: str) -> bool:
    """Tell whether a task is mocked, some of its elements or all of it."""
    if f"{TYPE}{type}" in mocks or path in mocks:
        return True
    return any(plain_path(name) == path or fnmatch.fnmatchcase(path, name) for name in mocks)


def with_mocks(flow: ir.Flow, mocks: Mapping[str, Mock], only: bool = False, under: str = "") -> ir.Flow:
    """Return a flow in which the tasks that are mocked call the mock, those of its constant sub-flows too.

    Args:
        flow: the flow.
        mocks: by type, or by path; a task of a sub-flow is called `task/inner`.
        only: what reaches out and is not mocked calls the mock as well, which tells of it.
        under: the path of the task whose sub-flow this is, with a slash behind it.
    """
    if not mocks and not only:
        return flow

    def rewrite(task: ir.Task, path: str) -> ir.Task:
        name, path = type_of(task.work), under + path
        if is_mocked(mocks, path, name) or (only and name in REACHES_OUT):
            return replace(task, work=_mock(task, name, under))
        if isinstance(task.work, ir.SubFlow) and task.work.flow is not None:
            inner = with_mocks(task.work.flow, mocks, only, f"{path}/")
            return replace(task, work=replace(task.work, flow=inner)) if inner is not task.work.flow else task
        return task

    made = rewrite_tasks(flow, rewrite)
    return _distinct(made, under) if under and made is not flow else made


def _distinct(flow: ir.Flow, under: str) -> ir.Flow:
    """Return a sub-flow as a version of its own: called by another task, other mocks may stand in it."""
    return replace(flow, content_hash=hashlib.sha256(f"{flow.content_hash} {under}".encode()).hexdigest())


def _mock(task: ir.Task, name: str, under: str) -> ir.Invoke:
    """Return the call of the mock, which is told what the task would have been given."""
    at = At(Spot(task.at), 0, 0)
    given = _given(task.work) or Const(at, None)
    told = {"type": Const(at, name), "under": Const(at, under), "with": given}
    return ir.Invoke(MOCK, Dict(at, tuple((Const(at, key), value) for key, value in told.items())), "read")


class Spot:
    """The origin of an expression that nobody wrote: it stands where its task does."""

    def __init__(self, at: Span) -> None:
        self._at = at

    def span(self, start: int, end: int) -> Span:
        """Return the place of the task."""
        return self._at

    authors = span


def _given(work: ir.Work) -> Expr | None:
    match work:
        case ir.Invoke(params=params):
            return params
        case ir.SubFlow(inputs=inputs):
            return inputs
        case ir.Wait(params=params) | ir.Approval(params=params):
            return params
        case ir.Sleep(duration, until):
            return duration if duration is not None else until
    return None


class Called(msgspec.Struct, frozen=True):
    """One call of a mock."""

    task: str
    type: str
    given: Any
    """What the task's `with` came to; secrets masked."""
    attempt: int
    run: str = ""
    """The run that it belongs to."""


class Mocks:
    """The task type that stands for mocked tasks; one for each test that runs.

    Args:
        mocks: by path, glob or `type:…`.
        clock: whose time the answers take.
    """

    spec = TaskSpec(name=MOCK, summary="Stands for a task in a test.", params={}, output={}, effect="read")

    def __init__(self, mocks: Mapping[str, Mock], clock: Clock) -> None:
        self._mocks = mocks
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._moments: list[float] = []
        self.calls: list[Called] = []
        """In the order in which they came."""
        self.missing: dict[str, str] = {}
        """What is wrong with the test, by task that was called and that no mock stands for."""
        self.sleeping = 0
        """How many answers are taking their time."""

    def next_moment(self) -> float | None:
        """Return when the next answer is given that takes time."""
        return self._moments[0] if self._moments else None

    async def run(self, call: Call) -> Any:
        """Give the next answer of the mock that is nearest to the task."""
        given = call.params["with"]
        if call.secrets:
            masker = Masker({str(number): value for number, value in enumerate(call.secrets)})
            given = masker.value(given)
        path = call.params["under"] + call.task
        self.calls.append(Called(path, call.params["type"], given, call.attempt, call.run_id))
        answer = self._answer(path, call.params["type"])
        if answer.delay:
            await self._take(answer.delay)
        if answer.error is not None:
            error = answer.error
            raise TaskFailed(error["kind"], error.get("message", ""), error.get("data"))
        if answer.call is not None:
            function = answer.call
            if isinstance(function, str):
                function = find_function(function, call.folder)
            made = function(call.params["with"])
            return await made if inspect.isawaitable(made) else made
        return answer.output

    def _answer(self, path: str, type: str) -> Answer:
        name, mock = self._find(path, type)
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return mock.answers[min(count, len(mock.answers) - 1)]

    def _find(self, path: str, type: str) -> tuple[str, Mock]:
        """Return the mock of a task: the element's own, the path's, a glob's, the type's."""
        plain = plain_path(path)
        for name in (path, once_path(path), plain):
            if name in self._mocks:
                return name, self._mocks[name]
        for name, mock in self._mocks.items():
            if fnmatch.fnmatchcase(path, name) or fnmatch.fnmatchcase(plain, name):
                return name, mock
        by_type = self._mocks.get(TYPE + type)
        if by_type is None:
            raise self._miss(path, type)
        return TYPE + type, by_type

    def _miss(self, path: str, type: str) -> TaskFailed:
        """Note that a task is called that no mock stands for: whatever the flow does then, the test fails."""
        plain = plain_path(path)
        if any(plain_path(name) == plain for name in self._mocks):
            told = f"no mock stands for {path}: write one for each element, or one for all"
        else:
            told = f"the task '{plain}' ({type}) is called and not mocked, and 'only_mocks' is set"
        self.missing.setdefault(plain, told)
        return TaskFailed("mock.missing", told)

    async def _take(self, seconds: float) -> None:
        moment = self._clock.now() + seconds
        heapq.heappush(self._moments, moment)
        self.sleeping += 1
        try:
            await self._clock.sleep(seconds)
        finally:
            self.sleeping -= 1
            self._moments.remove(moment)
            heapq.heapify(self._moments)
