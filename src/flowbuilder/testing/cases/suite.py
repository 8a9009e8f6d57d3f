"""Runs many tests at a time, and gathers what came of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from flowbuilder.core.errors import FlowBuilderError, FlowError
from flowbuilder.sdk.load import load
from flowbuilder.testing.cases.case import Case
from flowbuilder.testing.cases.coverage import FlowCoverage, coverage_of, take_in
from flowbuilder.testing.cases.drive import run_case
from flowbuilder.testing.cases.judge import judge
from flowbuilder.testing.cases.outcome import Outcome
from flowbuilder.testing.cases.prepared import settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MOST: Final = 30
"""Differences of a test that are told: a list in another order has as many as elements."""
Verdict = Literal["passed", "failed", "skipped"]


class Result(msgspec.Struct):
    """How one test went."""

    case: Case
    verdict: Verdict
    problems: list[str] = []
    outcome: Outcome | None = None

    @property
    def name(self) -> str:
        """The test's name with its file's."""
        file = self.case.file or self.case.flow
        return f"{file}: {self.case.name}"


async def run_cases(cases: Sequence[Case], jobs: int) -> AsyncIterator[Result]:
    """Run tests, so many at a time, and yield how each went, in the order of `cases`."""
    places = asyncio.Semaphore(jobs)

    async def run(case: Case) -> Result:
        async with places:
            return await run_one(case)

    tasks = [asyncio.ensure_future(run(case)) for case in cases]
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_one(case: Case) -> Result:
    """Run one test; a flow that is wrong is a test that fails."""
    if case.skip is not None:
        return Result(case, "skipped", [case.skip])
    try:
        outcome = await run_case(case)
    except FlowError as error:
        return Result(case, "failed", [f"the flow is wrong: {line}" for line in str(error).splitlines()])
    except FlowBuilderError as error:
        return Result(case, "failed", [str(error)])
    problems = judge(case, outcome)
    if len(problems) > MOST:
        problems = [*problems[:MOST], f"… and {len(problems) - MOST:,} more differences"]
    return Result(case, "failed" if problems else "passed", problems, outcome)


def coverage(results: Sequence[Result]) -> list[FlowCoverage]:
    """Return what tests reached of each flow, in the order of its file's name."""
    found: dict[Path, FlowCoverage] = {}
    for result in results:
        path = result.case.flow
        try:
            flow = load(path, settings_of(path).for_compiler()).flow
        except FlowBuilderError:
            continue
        known = found.setdefault(path, coverage_of(path, flow))
        if result.outcome is not None:
            for one in result.outcome.each:
                take_in(known, flow, one)
    return [found[path] for path in sorted(found)]
