"""Reads `*.test.yaml`: every mistake of a file is reported at once, each at its place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.limits import DEFAULT_LIMITS
from flowbuilder.compiler.lower.context import Context
from flowbuilder.compiler.lower.fields import BOOLEAN, DELAY, DURATION, TEXT, Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.values import constant
from flowbuilder.compiler.nodes import Broken, Mapping, Node, Scalar, Sequence
from flowbuilder.compiler.read.parse import parse
from flowbuilder.compiler.read.source import Source
from flowbuilder.core.errors import FlowError, NotFound
from flowbuilder.runtime.plans import SUFFIXES
from flowbuilder.sdk.load import is_python
from flowbuilder.tasks.registry import catalogue
from flowbuilder.testing.cases.case import Answer, Case, Expected, Mock, Sending, Suite
from flowbuilder.testing.cases.read_expected import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX: Final = ".test.yaml"


def read_suite(path: Path) -> Suite:
    """Return the tests of a file.

    Raises:
        FlowError: with everything that is wrong in it.
        NotFound: there is no such file.
    """
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound("file", str(path)) from None
    findings = Findings()
    source = Source(text, str(path))
    root = parse(source, findings, DEFAULT_LIMITS)
    cases: tuple[Case, ...] = ()
    if root is not None:
        ctx = Context(source, findings, catalogue(), DEFAULT_LIMITS, _NoFlows(), _no_task)
        cases = _suite(ctx, root, path)
    if findings.errors:
        raise FlowError(findings.ordered([str(path)]))
    return Suite(path, cases)


class _NoFlows:
    """A file of tests compiles no sub-flows."""

    def find(self, path: str, ctx: Context, node: Node) -> None:
        """Never asked for."""
        raise AssertionError(path)


def _no_task(ctx: Context, key: Scalar, node: Node) -> NoReturn:
    raise AssertionError("a file of tests holds no tasks")


# -- the parts of a test ---------------------------------------------------------------


def _values(ctx: Context, node: Node, key: str) -> dict[str, Any] | None:
    if type(node) is not Mapping:
        ctx.expected("a mapping of names and values", node, key)
        return None
    return {name.text: constant(ctx, value, name.text) for name, value in node.pairs.values()}


def _moment(ctx: Context, node: Node, key: str) -> float | None:
    text = TEXT.read(ctx, node, key)
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        ctx.error(
            "FB208",
            f"'{key}': '{text[:40]}' is no moment with an offset",
            node,
            "write for example '2026-01-05T06:00:00Z'",
        )
        return None
    return moment.timestamp()


_VALUES: Final = Field(_values, {"type": "object"})
_ANY: Final = Field(constant, {})

_ERROR: Final = Table(
    "an error",
    {
        "kind": Key(TEXT, "Dotted, such as `http.503`."),
        "message": Key(TEXT, "What went wrong."),
        "data": Key(_ANY, "Whatever the task says of it."),
    },
    required=("kind",),
)


def _read_error(ctx: Context, node: Node, key: str) -> dict[str, Any]:
    return read_record(ctx, node, _ERROR, f"'{key}'")


_ANSWER: Final = Table(
    "a mock",
    {
        "output": Key(_ANY, "What the task yields."),
        "error": Key(
            Field(_read_error, {"type": "object"}), "What it fails with: `kind`, `message`, `data`."
        ),
        "delay": Key(DELAY, "How much virtual time it takes."),
        "call": Key(TEXT, "`module:function`, which is given `with` and returns the output."),
    },
    elsewhere={
        "return": "it is called `output`",
        "returns": "it is called `output`",
        "result": "it is called `output`",
        "raises": "it is called `error`",
        "outputs": "it is called `output`; for one call after the other write a list of mocks",
        "times": "write a list of mocks, one for each call",
    },
)


def _answer(ctx: Context, node: Node, name: str) -> Answer:
    values = read_record(ctx, node, _ANSWER, f"the mock of '{name[:60]}'")
    given = [key for key in ("output", "error", "call") if key in values]
    if len(given) > 1:
        ctx.error("FB211", f"the mock of '{name[:60]}' has both '{given[0]}' and '{given[1]}'", node)
    return Answer(**values)


def _read_mocks(ctx: Context, node: Node, key: str) -> dict[str, Mock]:
    if type(node) is not Mapping:
        ctx.expected("a mapping of tasks, or of `type:…`, and what stands for them", node, key)
        return {}
    mocks = {}
    for name, value in node.pairs.values():
        items = value.items if type(value) is Sequence else [value]
        if not items:
            ctx.error("FB210", f"the mock of '{name.text[:60]}' has no answer", value)
        mocks[name.text] = Mock(tuple(_answer(ctx, item, name.text) for item in items), ctx.span(name))
    return mocks


_SENDINGS: Final = ("signal", "event", "approve", "reject", "cancel", "pause", "resume")
_SENDING: Final = Table(
    "something sent",
    {
        "signal": Key(TEXT, "The name of a signal for the run."),
        "event": Key(TEXT, "The name of an event."),
        "approve": Key(TEXT, "The task whose approval is given."),
        "reject": Key(TEXT, "The task whose approval is refused."),
        "cancel": Key(TEXT, "Cancels the run, for this reason."),
        "pause": Key(BOOLEAN, "Pauses the run."),
        "resume": Key(BOOLEAN, "Lets a paused run go on."),
        "payload": Key(_ANY, "Of a signal or an event."),
        "form": Key(_VALUES, "Of an approval: what was filled in."),
        "reason": Key(TEXT, "Of a rejection."),
        "by": Key(TEXT, "Who decides."),
        "at": Key(DELAY, "So long after the start; when the run only waits unless given."),
    },
    elsewhere={"after": "it is called `at`", "data": "it is called `payload`"},
)


def _sending(ctx: Context, node: Node) -> Sending | None:
    values = read_record(ctx, node, _SENDING, "what is sent")
    what = [name for name in _SENDINGS if name in values]
    if len(what) != 1:
        if type(node) is Mapping:
            ctx.error("FB211", "say one thing that is sent: " + ", ".join(_SENDINGS), node)
        return None
    name = values[what[0]] if isinstance(values[what[0]], str) else ""
    payload = values.get("payload", values.get("form", values.get("reason")))
    return Sending(what[0], name, payload, values.get("by"), values.get("at"))


def _read_sendings(ctx: Context, node: Node, key: str) -> tuple[Sending, ...]:
    items = node.items if type(node) is Sequence else [node]
    return tuple(sending for item in items if (sending := _sending(ctx, item)) is not None)


def _read_secrets(ctx: Context, node: Node, key: str) -> dict[str, str]:
    return {name: str(value) for name, value in (_values(ctx, node, key) or {}).items()}


_COMMON: Final = {
    "inputs": Key(_VALUES, "The run's inputs."),
    "config": Key(_VALUES, "Values of the flow's `config`, in place of those of the profile."),
    "profile": Key(TEXT, "Which of the project's profiles holds; its usual one unless given."),
    "secrets": Key(Field(_read_secrets, {"type": "object"}), "Values of secrets, made up for the test."),
    "mocks": Key(Field(_read_mocks, {"type": "object"}), "What stands for tasks, by path or `type:…`."),
    "only_mocks": Key(BOOLEAN, "Whether a task that calls something and is not mocked is an error."),
    "clock": Key(Field(_moment, {"type": "string"}), "When the virtual clock starts."),
    "timeout": Key(DURATION, "How long the test may take by the clock on the wall; 30s unless given."),
}
_CASE: Final = Table(
    "a test",
    {
        **_COMMON,
        "description": Key(TEXT, "What it shows."),
        "skip": Key(TEXT, "Why it is not run for now."),
        "send": Key(Field(_read_sendings, {}), "What happens to the run from outside, in order."),
        "expect": Key(EXPECTED, "What is to come of it."),
    },
    elsewhere={
        "assert": "it is called `expect`",
        "expected": "it is called `expect`",
        "input": "it is called `inputs`",
        "with": "it is called `inputs`",
        "mock": "it is called `mocks`",
        "signals": "they stand in `send`: `- signal: name`",
    },
)


def _read_tests(ctx: Context, node: Node, key: str) -> dict[str, tuple[Scalar, dict[str, Any]]]:
    if type(node) is not Mapping or not node.pairs:
        ctx.expected("a mapping of tests by name", node, key, "write for example `it works: {expect: {…}}`")
        return {}
    return {
        name.text: (name, _read_case(ctx, name, value))
        for name, value in node.pairs.values()
        if type(value) is not Broken
    }


def _read_case(ctx: Context, name: Scalar, node: Node) -> dict[str, Any]:
    if type(node) is Scalar and not node.text:
        return {}  # a test that only says that the flow succeeds
    return read_record(ctx, node, _CASE, f"test '{name.text[:60]}'")


def _read_shared(ctx: Context, node: Node, key: str) -> dict[str, Any]:
    return read_record(ctx, node, Table("`defaults`", _COMMON), f"'{key}'")


_FILE: Final = Table(
    "a file of tests",
    {
        "flow": Key(TEXT, "The flow's file; that of the same name without `.test` unless given."),
        "defaults": Key(Field(_read_shared, {"type": "object"}), "What holds for each test."),
        "tests": Key(Field(_read_tests, {"type": "object"}), "The tests, by name."),
    },
    elsewhere={"cases": "they are called `tests`", "mocks": "for all tests it stands in `defaults`"},
    required=("tests",),
    open_prefix="x-",
)


def _suite(ctx: Context, root: Node, path: Path) -> tuple[Case, ...]:
    values = read_record(ctx, root, _FILE, "a file of tests")
    flow = _flow_of(ctx, root, path, values.get("flow"))
    shared = values.get("defaults", {})
    return tuple(
        _case(name, ctx.span(key), path, flow, _merged(shared, own))
        for name, (key, own) in values.get("tests", {}).items()
    )


def _flow_of(ctx: Context, root: Node, path: Path, named: str | None) -> Path:
    """Return the flow's file, or report that there is none."""
    stem = path.name.removesuffix(SUFFIX)
    if named and is_python(named):
        return _in_python(ctx, root, path, named)
    candidates = [path.parent / named] if named else [path.parent / (stem + suffix) for suffix in SUFFIXES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    node = root.get("flow") if type(root) is Mapping else None
    ctx.error(
        "FB250",
        f"there is no flow '{candidates[0].name}' beside these tests",
        node or root,
        "name its file: `flow: other.yaml`",
    )
    return candidates[0]


def _in_python(ctx: Context, root: Node, path: Path, named: str) -> Path:
    """Return where a flow in Python is: `flow.py:report`, from the folder of the tests on."""
    file = named.partition(":")[0]
    if file.endswith(".py") and not (path.parent / file).is_file():
        node = root.get("flow") if type(root) is Mapping else None
        ctx.error("FB250", f"there is no file '{file}' beside these tests", node or root)
    return path.parent / named if file.endswith(".py") else Path(named)


def _merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = {**shared, **own}
    for key in ("inputs", "secrets", "mocks", "config"):
        if key in shared and key in own:
            merged[key] = {**shared[key], **own[key]}
    return merged


def _case(name: str, at: Any, path: Path, flow: Path, values: dict[str, Any]) -> Case:
    renamed = {"send": "sendings", "expect": "expected"}
    fields = {renamed.get(key, key): value for key, value in values.items() if key != "description"}
    fields.setdefault("expected", Expected())
    return Case(name=name, flow=flow, file=path, at=at, **fields)


def find_suites(paths: list[Path]) -> Iterator[Path]:
    """Yield the files of tests that are named, or lie in folders that are, in the order of their names.

    Raises:
        NotFound: there is no such path.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found = sorted(each for each in path.rglob("*" + SUFFIX) if not _hidden(each, path))
        elif path.is_file():
            found = [path] if path.name.endswith(SUFFIX) else _beside(path)
        else:
            raise NotFound("file or folder", str(path))
        for each in found:
            if each not in seen:
                seen.add(each)
                yield each


def _beside(flow: Path) -> list[Path]:
    """Return the tests of a flow that was named instead of them."""
    tests = flow.with_name(flow.stem + SUFFIX)
    if not tests.is_file():
        raise NotFound("test", str(flow), f"its tests would stand in {tests.name}")
    return [tests]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.relative_to(root).parts)
