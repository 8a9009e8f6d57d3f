"""Reads the runs of a test that starts several, and how they belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower.fields import DELAY, TEXT, TEXTS, Field, check_name, integer
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence
from flowbuilder.testing.cases.case import CaseRun, Expected
from flowbuilder.testing.cases.read_expected import OF_ONE
from flowbuilder.testing.cases.read_sendings import SENDINGS
from flowbuilder.testing.cases.read_values import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.compiler.lower.context import Context

_RUN: Final = Table(
    "a run of a test",
    {
        "inputs": Key(VALUES, "Its inputs, over those of the test."),
        "key": Key(TEXT, "Makes the start idempotent: the same key gives the same run."),
        "priority": Key(integer(0, 100), "In place of the flow's."),
        "labels": Key(TEXTS, "Beside the flow's."),
        "at": Key(DELAY, "So long after the start of the test, or after the end of `after`."),
        "after": Key(TEXT, "The run whose end it waits for."),
        "send": Key(SENDINGS, "What happens to it from outside, in order; `at` counts from its start."),
        "expect": Key(OF_ONE, "What is to come of it."),
    },
    elsewhere={
        "delay": "it is called `at`",
        "needs": "it is called `after`",
        "mocks": "they stand for tasks of all runs: write them beside `runs`",
        "secrets": "they hold for all runs: write them beside `runs`",
        "clock": "it holds for all runs: write it beside `runs`",
        "name": "its name is the key that it stands under",
    },
)


def _read_runs(ctx: Context, node: Node, key: str) -> tuple[CaseRun, ...]:
    if type(node) is not Mapping or not node.pairs:
        ctx.expected(
            "a mapping of runs by name", node, key, "write for example `first: {}` and `second: {at: 1s}`"
        )
        return ()
    found = []
    for name, value in node.pairs.values():
        check_name(ctx, name, "run")
        values = (
            {}
            if type(value) is Scalar and not value.text
            else read_record(ctx, value, _RUN, f"run '{name.text[:60]}'")
        )
        renamed = {"send": "sendings", "expect": "expected"}
        found.append(CaseRun(name.text, **{renamed.get(key, key): value for key, value in values.items()}))
    return tuple(found)


RUNS: Final = Field(_read_runs, {"type": "object"})


def check_runs(ctx: Context, node: Mapping, values: dict[str, Any]) -> None:
    """Report names of runs that there are not, and runs that wait for each other."""
    runs: dict[str, CaseRun] = {run.name: run for run in values.get("runs", ())}
    written = node.get("runs")
    before: list[str] = []
    for run in runs.values():
        own = written.get(run.name) if type(written) is Mapping else None
        if run.after is not None:
            _known(ctx, run.after, runs, _at(own, "after") or node)
        if run.expected.same_as is not None:
            at = _at(_at(own, "expect"), "same_as") or node
            _known(ctx, run.expected.same_as, before, at, "before it")
        before.append(run.name)
    for run in runs.values():
        if _waits_for_itself(run, runs):
            at = written.pairs[run.name][0] if type(written) is Mapping else node
            ctx.error("FB221", f"run '{run.name}' waits for itself", at, "begin one without `after`")
            break
    expected: Expected = values.get("expect", Expected())
    order = _at(_at(node, "expect"), "order")
    for number, name in enumerate(expected.order):
        at = order.items[number] if type(order) is Sequence and number < len(order.items) else order or node
        _known(ctx, name, runs, at)


def _known(ctx: Context, name: str, runs: Iterable[str], at: Node, where: str = "in this test") -> None:
    known = list(runs)
    if name not in known:
        there = f"there are {', '.join(known[:10])}" if known else "it is the first"
        ctx.error("FB220", f"there is no run '{name[:60]}' {where}", at, ctx.near(name, known) or there)


def _at(node: Node | None, key: str) -> Node | None:
    return node.get(key) if type(node) is Mapping else None


def _waits_for_itself(run: CaseRun, runs: dict[str, CaseRun]) -> bool:
    seen: set[str] = set()
    after = run.after
    while after in runs and after not in seen:
        if after == run.name:
            return True
        seen.add(after)
        after = runs[after].after
    return False
