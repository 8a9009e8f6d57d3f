"""Reads `*.test.yaml`: every mistake of a file is reported at once, each at its place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final, NoReturn

from msgspec.structs import replace

from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.limits import DEFAULT_LIMITS
from flowbuilder.compiler.lower.context import Context
from flowbuilder.compiler.lower.fields import BOOLEAN, DURATION, TEXT, Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Broken, Mapping, Node, Scalar
from flowbuilder.compiler.read.parse import parse
from flowbuilder.compiler.read.source import Source
from flowbuilder.core.errors import FlowError, NotFound
from flowbuilder.runtime.plans import SUFFIXES, no_text
from flowbuilder.sdk.load import is_python
from flowbuilder.tasks.registry import catalogue
from flowbuilder.testing.cases.case import Case, Expected, Suite
from flowbuilder.testing.cases.find import SUFFIX
from flowbuilder.testing.cases.read_expected import EXPECTED, OF_ALL
from flowbuilder.testing.cases.read_mocks import MOCKS
from flowbuilder.testing.cases.read_runs import RUNS, check_runs
from flowbuilder.testing.cases.read_sendings import SENDINGS
from flowbuilder.testing.cases.read_values import VALUES, read_values


def read_suite(path: Path) -> Suite:
    """Return the tests of a file.

    Raises:
        FlowError: with everything that is wrong in it.
        NotFound: there is no such file.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound("file", str(path)) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FlowError([no_text(str(path), data, error.start)]) from None
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


def _read_secrets(ctx: Context, node: Node, key: str) -> dict[str, str]:
    return {name: str(value) for name, value in (read_values(ctx, node, key) or {}).items()}


_COMMON: Final = {
    "inputs": Key(VALUES, "The run's inputs."),
    "config": Key(VALUES, "Values of the flow's `config`, in place of those of the profile."),
    "profile": Key(TEXT, "Which of the project's profiles holds; its usual one unless given."),
    "secrets": Key(Field(_read_secrets, {"type": "object"}), "Values of secrets, made up for the test."),
    "mocks": Key(MOCKS, "What stands for tasks, by path or `type:…`."),
    "only_mocks": Key(
        BOOLEAN, "Whether a run may not come to a task that calls something and is not mocked."
    ),
    "clock": Key(Field(_moment, {"type": "string"}), "When the virtual clock starts."),
    "timeout": Key(DURATION, "How long the test may take by the clock on the wall; 30s unless given."),
}
_CASE: Final = Table(
    "a test",
    {
        **_COMMON,
        "description": Key(TEXT, "What it shows."),
        "skip": Key(TEXT, "Why it is not run for now."),
        "send": Key(SENDINGS, "What happens to the run from outside, in order."),
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
_SEVERAL: Final = Table(
    "a test of several runs",
    {
        **{key: known for key, known in _CASE.keys.items() if key not in ("send", "expect")},
        "runs": Key(RUNS, "The runs, by name, in the order in which they start."),
        "expect": Key(OF_ALL, "What is to come of all of them together."),
    },
    elsewhere={**_CASE.elsewhere, "send": "it stands in the run that it is sent to"},
)
_KEYS: Final = Table(_CASE.what, {**_CASE.keys, "runs": _SEVERAL.keys["runs"]}, elsewhere=_CASE.elsewhere)
"""All keys, for their near misses."""


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
    if type(node) is Mapping and "runs" in node.pairs:
        values = read_record(ctx, node, _SEVERAL, f"test '{name.text[:60]}'")
        check_runs(ctx, node, values)
        return values
    return read_record(ctx, node, _KEYS, f"test '{name.text[:60]}'")


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
    if inputs := fields.get("inputs"):
        fields["runs"] = tuple(
            replace(run, inputs={**inputs, **run.inputs}) for run in fields.get("runs", ())
        )
    return Case(name=name, flow=flow, file=path, at=at, **fields)
