"""How tests went, for other programs: JUnit's XML, TAP, JSON."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.testing.cases.coverage import FlowCoverage
    from flowbuilder.testing.cases.suite import Result

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def junit(results: Sequence[Result]) -> str:
    """Return results as JUnit's XML, one suite a file."""
    by_file: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_file[str(result.case.file or result.case.flow)].append(result)
    root = ET.Element("testsuites", _counts(results))
    for file, some in by_file.items():
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file), **_counts(some)})
        for result in some:
            _junit_case(suite, file, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(result.verdict == "failed" for result in results)),
        "errors": "0",
        "skipped": str(sum(result.verdict == "skipped" for result in results)),
        "time": f"{sum(_seconds(result) for result in results):.3f}",
    }


def _junit_case(suite: ET.Element, file: str, result: Result) -> None:
    place = {"line": str(result.case.at.line)} if result.case.at is not None else {}
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "name": _clean(result.case.name),
            "classname": _clean(file),
            "file": _clean(file),
            "time": f"{_seconds(result):.3f}",
            **place,
        },
    )
    if result.verdict == "failed":
        failure = ET.SubElement(case, "failure", {"message": _clean(result.problems[0])})
        failure.text = _clean("\n".join(result.problems))
    elif result.verdict == "skipped":
        ET.SubElement(case, "skipped", {"message": _clean(result.problems[0])})
    if result.outcome is not None and result.outcome.logs:
        ET.SubElement(case, "system-out").text = _clean("\n".join(result.outcome.logs))


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def tap(results: Sequence[Result]) -> str:
    """Return results in the Test Anything Protocol, version 14."""
    lines = ["TAP version 14", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        name = result.name.replace("\n", " ").replace("\\", "\\\\").replace("#", "\\#")
        if result.verdict == "skipped":
            lines.append(f"ok {number} - {name} # SKIP {' '.join(result.problems[0].split())}")
            continue
        lines.append(f"{'ok' if result.verdict == 'passed' else 'not ok'} {number} - {name}")
        lines += [f"  # {line}" for problem in result.problems for line in problem.splitlines()]
    return "\n".join(lines) + "\n"


def as_data(results: Sequence[Result], flows: Sequence[FlowCoverage]) -> dict[str, Any]:
    """Return results as the object that `--json` prints."""
    return {
        "passed": sum(result.verdict == "passed" for result in results),
        "failed": sum(result.verdict == "failed" for result in results),
        "skipped": sum(result.verdict == "skipped" for result in results),
        "tests": [
            {
                "name": result.case.name,
                "file": str(result.case.file),
                "flow": str(result.case.flow),
                "line": result.case.at.line if result.case.at is not None else None,
                "verdict": result.verdict,
                "problems": result.problems,
                "seconds": round(_seconds(result), 6),
            }
            for result in results
        ],
        "coverage": [
            {
                "flow": str(flow.file),
                "tasks": list(flow.counts(branches=False)),
                "branches": list(flow.counts(branches=True)),
                "missed": [str(point) for way in (False, True) for point in flow.missed(branches=way)],
            }
            for flow in flows
        ],
    }


def _seconds(result: Result) -> float:
    return result.outcome.seconds if result.outcome is not None else 0.0
