"""`flowbuilder test`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli import exits
from flowbuilder.cli.command import JSON, QUIET, STORE, Argument, Command, Option
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, is_rich, put, say
from flowbuilder.core.errors import FlowError, NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from flowbuilder.core.diagnostics import Diagnostic
    from flowbuilder.testing.cases.case import Case
    from flowbuilder.testing.cases.coverage import FlowCoverage
    from flowbuilder.testing.cases.suite import Result

COMMAND = Command(
    name="test",
    summary="Run the tests that stand beside flows",
    description=(
        "Tests are files named `*.test.yaml`: inputs, what stands for tasks, and what is expected. They run in "
        "memory, many at a time, on a virtual clock that jumps over waits. The exit code is 1 if one fails, 3 "
        "if a file of tests is wrong."
    ),
    arguments=(
        Argument("PATH", "Files of tests, flows, or folders; this folder unless given", "file", "any"),
    ),
    options=(
        Option(("-k",), "Only tests with this text in their names", "TEXT"),
        Option(("--jobs", "-j"), "How many run at a time", "N", takes="integer"),
        Option(("--exitfirst", "-x"), "Stop at the first that fails"),
        Option(("--coverage",), "Show which tasks and branches no test has reached"),
        Option(("--fail-under",), "Fail where less than this is reached", "PERCENT", takes="integer"),
        Option(("--junit",), "Write the results as JUnit's XML", "FILE", takes="file"),
        Option(("--tap",), "Print the results in the Test Anything Protocol"),
        Option(("--record",), "Make a test of this run instead", "RUN", takes="run"),
        Option(("--output", "-o"), "Where a recorded test is written", "FILE", takes="file"),
        QUIET,
        STORE,
        JSON,
    ),
    examples=(
        ("All tests below this folder", "flowbuilder test"),
        ("For a build server", "flowbuilder test flows --junit results.xml --fail-under 90"),
        ("A test that is like a real run", "flowbuilder test --record RUN"),
    ),
)
_MARKS = {"passed": ("32", "✓", "ok"), "failed": ("1;31", "✗", "FAILED"), "skipped": ("33", "-", "skipped")}


def run(arguments: argparse.Namespace) -> int:
    """Run tests, or make one.

    Raises:
        FlowError: with all that is wrong in files of tests.
        NotFound: there is no test.
    """
    if arguments.record:
        return _record(arguments)
    cases = _cases(arguments)
    began = time.monotonic()
    plain = arguments.tap or arguments.json
    results = asyncio.run(_run(cases, arguments, shown=not plain and not arguments.quiet))
    flows = _coverage(results) if arguments.coverage or arguments.fail_under is not None or plain else []
    _report(arguments, results, flows, time.monotonic() - began)
    return _exit_code(arguments, results, flows)


def _cases(arguments: argparse.Namespace) -> list[Case]:
    from flowbuilder.testing.cases.find import SUFFIX, find_suites  # start-up time
    from flowbuilder.testing.cases.read import read_suite

    if arguments.jobs is not None and arguments.jobs < 1:
        raise UsageError("--jobs is 1 or more", "test")
    if arguments.fail_under is not None and not 0 <= arguments.fail_under <= 100:
        raise UsageError("--fail-under goes from 0 to 100", "test")
    if arguments.junit is not None and not Path(arguments.junit).absolute().parent.is_dir():
        raise UsageError(f"--junit {arguments.junit}: there is no such folder", "test")
    paths = [Path(path) for path in arguments.path] or [Path()]
    cases: list[Case] = []
    wrong: list[Diagnostic] = []
    for path in find_suites(paths):
        try:
            cases += read_suite(path).cases
        except FlowError as error:
            wrong += error.diagnostics
    if wrong:
        raise FlowError(wrong)
    if not cases:
        where = ", ".join(map(str, paths))
        raise NotFound("test", "", f"files of tests are named '*{SUFFIX}'; there is none in {where}")
    if named_flows := {path.rpartition(":")[2] for path in arguments.path if _names_a_flow(path)}:
        cases = [case for case in cases if case.flow.name.rpartition(":")[2] in named_flows] or cases
    if arguments.k is not None:
        named = [case for case in cases if arguments.k.lower() in case.name.lower()]
        if not named:
            raise NotFound("test", arguments.k, f"none of the {len(cases)} tests has this in its name")
        return named
    return cases


def _names_a_flow(path: str) -> bool:
    """Tell whether an argument is a flow in Python: `flows.py:report`; all others of its file are left out."""
    return ":" in path and not Path(path).exists()


async def _run(cases: list[Case], arguments: argparse.Namespace, *, shown: bool) -> list[Result]:
    from flowbuilder.testing.cases.suite import run_cases  # start-up time

    jobs = arguments.jobs or 4 * (os.cpu_count() or 1)
    results: list[Result] = []
    running = run_cases(cases, jobs)
    try:
        async for result in running:
            results.append(result)
            if shown:
                _show(result)
            if arguments.exitfirst and result.verdict == "failed":
                break
    finally:
        await running.aclose()  # type: ignore[attr-defined]
    return results


def _show(result: Result) -> None:
    colour, mark, word = _MARKS[result.verdict]
    took = f"  {result.outcome.seconds * 1000:.0f} ms" if result.outcome is not None else ""
    rich = is_rich(sys.stdout)
    shown = f"\x1b[{colour}m{mark}\x1b[0m" if rich else f"{word:8}"
    why = f"  ({result.problems[0]})" if result.verdict == "skipped" else ""
    lines = [f"{shown} {result.name}{took}{why}"]
    if result.verdict == "failed":
        at = result.case.at
        if at is not None:
            lines.append(f"    at {at}")
        lines += [f"    {line}" for problem in result.problems for line in problem.splitlines()]
    put("\n".join(lines) + "\n", sys.stdout)


def _coverage(results: Sequence[Result]) -> list[FlowCoverage]:
    from flowbuilder.testing.cases.suite import coverage  # start-up time

    return coverage(results)


def _report(
    arguments: argparse.Namespace, results: Sequence[Result], flows: Sequence[FlowCoverage], seconds: float
) -> None:
    from flowbuilder.testing.cases.reports import as_data, junit, tap  # start-up time

    if arguments.junit:
        Path(arguments.junit).write_text(junit(results), "utf-8")
    if arguments.tap:
        data(tap(results))
    elif arguments.json:
        data(as_json(as_data(results, flows)))
    elif arguments.coverage:
        _show_coverage(flows)
    counts = [
        f"{sum(result.verdict == verdict for result in results)} {verdict}"
        for verdict in ("failed", "passed", "skipped")
        if any(result.verdict == verdict for result in results)
    ]
    say(f"{', '.join(counts)} in {seconds:.2f} s")


def _show_coverage(flows: Sequence[FlowCoverage]) -> None:
    from flowbuilder.cli.tables import show_table  # start-up time

    rows = []
    for flow in flows:
        tasks, branches = (flow.counts(branches=way) for way in (False, True))
        missed = [
            f"{point} (line {point.at.line})" for way in (False, True) for point in flow.missed(branches=way)
        ]
        rows.append([str(flow.file), _of(tasks), _of(branches), "; ".join(missed) or "nothing"])
    put("\n", sys.stdout)
    show_table(sys.stdout, ("flow", "tasks", "branches", "missed"), rows)


def _of(counts: tuple[int, int]) -> str:
    return f"{counts[0]}/{counts[1]}"


def _exit_code(arguments: argparse.Namespace, results: Sequence[Result], flows: list[FlowCoverage]) -> int:
    from flowbuilder.testing.cases.coverage import share  # start-up time

    if any(result.verdict == "failed" for result in results):
        return exits.FAILED
    if arguments.fail_under is not None and (reached := share(flows)) < arguments.fail_under:
        say(f"{reached:.1f} % of tasks and branches are reached, and {arguments.fail_under} % are wanted")
        return exits.FAILED
    return exits.DONE


def _record(arguments: argparse.Namespace) -> int:
    from flowbuilder.cli.workspace import reader_here  # start-up time: brings the store's driver
    from flowbuilder.testing.cases.record import record, write_beside

    with reader_here(arguments.store) as reader:
        flow, text = record(reader, arguments.record)
    path = write_beside(flow, text, Path(arguments.output) if arguments.output else None)
    say(f"wrote {path}; run it: flowbuilder test {path}")
    return exits.DONE
