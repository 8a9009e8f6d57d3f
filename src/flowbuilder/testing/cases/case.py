"""What a test of a flow says: its inputs, what stands for tasks, what happens to it, what is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from flowbuilder.compiler.expressions.tree import Expr
from flowbuilder.core.span import Span

TYPE = "type:"
"""How a key of `mocks` begins that stands for all tasks of a type: `type:http`."""
REAL_SECONDS = 30.0
"""How long a test may take by the clock on the wall, unless it says otherwise."""


class Answer(msgspec.Struct, frozen=True):
    """What one call of a mocked task yields."""

    output: Any = None
    error: Mapping[str, Any] | None = None
    """`kind`, `message`, `data`: the attempt fails with it."""
    delay: float = 0.0
    """Seconds of virtual time that it takes."""
    call: str | Callable[[Any], Any] | None = None
    """`module:function` (or the function), which is given the task's `with` and returns the output."""


class Mock(msgspec.Struct, frozen=True):
    """What stands for a task: its answers in order, the last for all further calls."""

    answers: tuple[Answer, ...]
    at: Span | None = None


class Sending(msgspec.Struct, frozen=True):
    """Something that happens to the run from outside."""

    what: Literal["signal", "event", "approve", "reject", "cancel", "pause", "resume"]
    name: str = ""
    """Of the signal or event; the task that asks for approval; the reason of a cancel."""
    payload: Any = None
    """Of a signal or event; the form of an approval; the reason of a rejection."""
    by: str | None = None
    at: float | None = None
    """Seconds of virtual time after the start; None: as soon as the run does nothing but wait."""
    place: Span | None = None
    """Where it is written."""


class Expected(msgspec.Struct, frozen=True):
    """What is to have come of the run; what is not named is not looked at."""

    status: str | None = None
    """`succeeded` unless an error is expected; `refused` where the inputs break their schemas."""
    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    """`kind` (a glob), `message` (a part of it), `task`."""
    tasks: Mapping[str, Mapping[str, Any]] = {}
    """By path: `status`, `output`, `attempts`, `reason`, `error`, `items`."""
    order: tuple[str, ...] = ()
    """Paths of tasks, each of which ended before the next."""
    calls: Mapping[str, Any] = {}
    """By path or `type:…`: how often, or what `with` each call had (parts of it)."""
    events: tuple[Mapping[str, Any], ...] | None = None
    """What was emitted, in order: `event`, and parts of its `payload`."""
    logs: tuple[str, ...] = ()
    """Texts that stand in the log."""
    duration: tuple[float, float] | None = None
    """From how many to how many seconds of virtual time it took."""
    that: tuple[tuple[str, Expr], ...] = ()
    """Conditions over `outputs`, `tasks`, `error`, `run`, `calls`; each with its text."""
    same_as: str | None = None
    """Of one of several runs: the one that its start has given in place of a new one."""
    named: tuple[tuple[str, str, Span], ...] = ()
    """The names under `tasks`, `order`, `calls` and `outputs`: which of these, the name, its place."""


class CaseRun(msgspec.Struct, frozen=True):
    """One run that a test starts."""

    name: str = ""
    """Empty where the test starts only one."""
    inputs: Mapping[str, Any] = {}
    key: str | None = None
    """Makes the start idempotent, as `--key` does."""
    priority: int | None = None
    labels: Mapping[str, str] = {}
    at: float = 0.0
    """Seconds of virtual time after the start of the test, or after the end of `after`."""
    after: str | None = None
    """The run whose end it waits for."""
    sendings: tuple[Sending, ...] = ()
    expected: Expected = Expected()


class Case(msgspec.Struct, frozen=True):
    """One test."""

    name: str
    flow: Path
    file: Path | None = None
    """Where it stands; None for one that a program made."""
    at: Span | None = None
    inputs: Mapping[str, Any] = {}
    config: Mapping[str, Any] | None = None
    """Values of the flow's `config`, in place of those of the profile."""
    profile: str | None = None
    """Which of the project's profiles holds; its usual one otherwise."""
    secrets: Mapping[str, str] = {}
    mocks: Mapping[str, Mock] = {}
    """By a task's path, a glob over paths, or `type:…`."""
    only_mocks: bool = False
    """Nothing is called that is not mocked."""
    clock: float | None = None
    """When the virtual clock starts, in seconds since 1970 UTC."""
    sendings: tuple[Sending, ...] = ()
    expected: Expected = Expected()
    runs: tuple[CaseRun, ...] = ()
    """Several runs, in the order in which they start; each has inputs, sendings and expectations of its own,
    and `expected` says what holds for all of them together."""
    timeout: float = REAL_SECONDS
    skip: str | None = None
    """Why it is not run."""

    @property
    def starts(self) -> tuple[CaseRun, ...]:
        """Return all runs, also where the test starts one and does not name it."""
        return self.runs or (CaseRun(inputs=self.inputs, sendings=self.sendings, expected=self.expected),)


class Suite(msgspec.Struct, frozen=True):
    """The tests of one file."""

    file: Path
    cases: tuple[Case, ...]
