"""Testing flows from pytest: the fixture `flow_test`.

```python
# conftest.py
from flowbuilder.testing import flow_test as flow_test

# test_orders.py
def test_a_failed_payment_is_told(flow_test):
    outcome = flow_test("orders.yaml", inputs={"id": 7}, mocks={"pay": {"error": {"kind": "http.402"}}})

    assert outcome.status == "failed"
    assert outcome.calls("notify")[0]["order"] == 7
```
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.testing.cases.case import REAL_SECONDS, Answer, Case, CaseRun, Expected, Mock, Sending
from flowbuilder.testing.cases.drive import run_case
from flowbuilder.testing.cases.find import find_suites
from flowbuilder.testing.cases.judge import given_to
from flowbuilder.testing.cases.read import read_suite

if TYPE_CHECKING:
    import datetime as dt

    from flowbuilder.runtime.views import TaskView
    from flowbuilder.testing.cases.case import Suite
    from flowbuilder.testing.cases.outcome import Outcome

Mocked = Mapping[str, Any] | Callable[[Any], Any] | Sequence[Mapping[str, Any]]
"""What stands for a task: `{"output": …}`, `{"error": {…}}`, with a `delay` in seconds; a list of such,
one for each call; or a function of the task's `with`."""
_ANSWERS: Final = frozenset({"output", "error", "delay", "call"})
_OF_A_RUN: Final = frozenset({"inputs", "key", "priority", "labels", "at", "after", "send"})
_SENDINGS: Final = ("signal", "event", "approve", "reject", "cancel", "pause", "resume")


class FlowOutcome:
    """What came of a flow in a test."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def __repr__(self) -> str:
        return f"<FlowOutcome {self.status}: {self.error or self.outputs}>"

    @property
    def status(self) -> str:
        """How the run ended; `refused` where its inputs broke their schemas."""
        return self._outcome.status

    @property
    def outputs(self) -> Any:
        """The run's outputs."""
        return self._outcome.outputs

    @property
    def error(self) -> dict[str, Any] | None:
        """The run's first error: `kind`, `message`, `task`."""
        return self._outcome.error

    @property
    def tasks(self) -> dict[str, TaskView]:
        """Tasks by path, elements of maps among them."""
        view = self._outcome.view
        return {} if view is None else {**view.tasks, **view.elements}

    @property
    def order(self) -> list[str]:
        """Paths of tasks in the order in which they ended."""
        return self._outcome.order

    @property
    def events(self) -> list[tuple[str, Any]]:
        """What was emitted: names and payloads, in order."""
        return self._outcome.events

    @property
    def logs(self) -> list[str]:
        """Lines of the log."""
        return self._outcome.logs

    @property
    def duration(self) -> float:
        """Seconds of virtual time that the run took."""
        return self._outcome.duration

    @property
    def runs(self) -> dict[str, FlowOutcome]:
        """What came of each run, where the test starts several."""
        return {name: FlowOutcome(one) for name, one in self._outcome.runs.items()}

    @property
    def same_as(self) -> str | None:
        """The run before it that its start has given, where it began none of its own."""
        return self._outcome.same_as

    def calls(self, task: str) -> list[Any]:
        """Return what each call of a mocked task (or of `type:…`) was given, in order.

        Raises:
            KeyError: the task was carried out and is not mocked.
        """
        given = given_to(self._outcome, task)
        if given is None:
            raise KeyError(f"{task} is not mocked: what it is given is not known")
        return given


class FlowTester:
    """What the fixture gives: call it to run a flow.

    Args:
        folder: where relative paths of flows start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        flow: str | Path,
        inputs: Mapping[str, Any] | None = None,
        *,
        mocks: Mapping[str, Mocked] | None = None,
        secrets: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        send: Iterable[Mapping[str, Any]] = (),
        runs: Mapping[str, Mapping[str, Any]] | None = None,
        clock: dt.datetime | None = None,
        only_mocks: bool = False,
        timeout: float = REAL_SECONDS,
    ) -> FlowOutcome:
        """Run a flow in memory to its end, on a virtual clock, and return what came of it.

        Args:
            flow: its file, from the folder of the test on.
            inputs: values by name.
            mocks: what stands for tasks, by path, glob or `type:…`.
            secrets: values by name; those that are not given get one that shows what it is.
            config: values of the flow's `config`, in place of those of the profile.
            send: what happens to the run, in order, as in `send` of a file of tests; `at` in seconds.
            runs: several runs by name, each with `inputs`, `key`, `priority`, `labels`, `at` (in seconds), `after`
                and `send`; what came of each is in `runs` of what is returned.
            clock: when the virtual clock starts; with a time zone.
            only_mocks: a test whose run comes to a task that calls something and is not mocked fails.
            timeout: seconds on the wall.

        Raises:
            FlowError: the flow is wrong.
            NotFound: there is no such flow.
            FlowBuilderError: the test itself is wrong, or the run does not end.
        """
        case = Case(
            name="test",
            flow=self._folder / flow,
            inputs=inputs or {},
            secrets=secrets or {},
            config=config,
            mocks={name: _mock(name, mocked) for name, mocked in (mocks or {}).items()},
            only_mocks=only_mocks,
            clock=None if clock is None else clock.timestamp(),
            sendings=tuple(_sending(each) for each in send),
            expected=Expected(),
            runs=_runs(runs or {}, inputs or {}),
            timeout=timeout,
        )
        outcome = _on_a_loop_of_its_own(case)
        if outcome.problem is not None:
            raise FlowBuilderError(outcome.problem)
        return FlowOutcome(outcome)

    def suites(self, path: str | Path = ".") -> list[Suite]:
        """Return the files of tests at a path.

        Raises:
            FlowError: one of them is wrong.
        """
        return [read_suite(each) for each in find_suites([self._folder / path])]


@pytest.fixture
def flow_test(request: pytest.FixtureRequest) -> FlowTester:
    """Run flows in tests: in memory, with mocks, on a virtual clock."""
    return FlowTester(request.path.parent)


def _mock(name: str, mocked: Mocked) -> Mock:
    if callable(mocked):
        return Mock((Answer(call=mocked),))
    answers = [mocked] if isinstance(mocked, Mapping) else list(mocked)
    if not answers:
        raise FlowBuilderError(f"the mock of '{name}' has no answer")
    for answer in answers:
        if unknown := set(answer) - _ANSWERS:
            known = ", ".join(sorted(_ANSWERS))
            raise FlowBuilderError(f"the mock of '{name}' has no '{min(unknown)}'; it may have {known}")
    return Mock(tuple(Answer(**answer) for answer in answers))


def _sending(given: Mapping[str, Any]) -> Sending:
    what = [name for name in _SENDINGS if name in given]
    if len(what) != 1:
        raise FlowBuilderError(f"say one thing that is sent ({', '.join(_SENDINGS)}), not {dict(given)!r}")
    name = given[what[0]] if isinstance(given[what[0]], str) else ""
    payload = given.get("payload", given.get("form", given.get("reason")))
    return Sending(what[0], name, payload, given.get("by"), given.get("at"))  # type: ignore[arg-type]


def _runs(given: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, Any]) -> tuple[CaseRun, ...]:
    runs: list[CaseRun] = []
    for name, said in given.items():
        if unknown := set(said) - _OF_A_RUN:
            known = ", ".join(sorted(_OF_A_RUN))
            raise FlowBuilderError(f"the run '{name}' has no '{min(unknown)}'; it may have {known}")
        after = said.get("after")
        if after is not None and after not in [run.name for run in runs]:
            raise FlowBuilderError(f"the run '{name}' begins after '{after}', which does not stand before it")
        fields = {key: value for key, value in said.items() if key != "send"}
        fields["inputs"] = {**inputs, **said.get("inputs", {})}
        sendings = tuple(_sending(each) for each in said.get("send", ()))
        runs.append(CaseRun(name, sendings=sendings, **fields))
    return tuple(runs)


def _on_a_loop_of_its_own(case: Case) -> Outcome:
    """Run a test to its end, whether or not the caller is on a loop itself."""
    found: list[Outcome] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(asyncio.run(run_case(case)))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="flow_test")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]
