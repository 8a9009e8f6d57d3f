"""An explained plan as data: what all formats are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from flowbuilder.compiler.explain.facts import TaskFacts

NodeKind = Literal["run", "region", "task", "phase"]


class Estimate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is expected to cost; milliseconds and bytes, as they are shown."""

    start: float
    end: float
    rows: float
    width: float


class Actual(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node came to in a run; milliseconds and bytes."""

    start: float
    end: float
    rows: int
    width: int
    loops: int = 1
    attempts: int = 1


class PlanNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the plan with what hangs below it."""

    kind: NodeKind
    title: str
    path: str = ""
    estimate: Estimate | None = None
    actual: Actual | None = None
    never_executed: bool = False
    """A run was given, and this did not start in it."""
    details: tuple[tuple[str, str], ...] = ()
    """Labels and what they say, in the order shown."""
    children: tuple[PlanNode, ...] = ()


class PassReport(msgspec.Struct, frozen=True):
    """What one pass did."""

    name: str
    did: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plan, explained."""

    flow: str
    content_hash: str
    plan: PlanNode
    passes: tuple[PassReport, ...] = ()
    """Those that did something, in the order in which they ran."""
    run_id: str | None = None
    status: str | None = None
    execution_time: float | None = None
    """Milliseconds."""


def estimate_of(start: float, end: float, rows: float, width: float) -> Estimate:
    """Return an estimate from seconds and bytes, rounded as it is shown."""
    return Estimate(_ms(start), _ms(end), _round(rows), _round(width))


def actual_of(facts: TaskFacts) -> Actual | None:
    """Return what a task came to, None if it did not start."""
    if facts.started is None:
        return None
    return Actual(
        start=_ms(facts.started),
        end=_ms(facts.started + facts.duration),
        rows=facts.rows,
        width=round(facts.output_bytes / max(facts.rows, 1)),
        loops=facts.loops,
        attempts=facts.attempts,
    )


def together(actuals: list[Actual]) -> Actual | None:
    """Return what several nodes came to as one; None if none of them ran."""
    if not actuals:
        return None
    rows = sum(one.rows for one in actuals)
    return Actual(
        start=min(one.start for one in actuals),
        end=max(one.end for one in actuals),
        rows=rows,
        width=round(sum(one.width * one.rows for one in actuals) / max(rows, 1)),
        loops=max(one.loops for one in actuals),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _round(number: float) -> float:
    return round(number, 1) if number < 10 else float(round(number))
