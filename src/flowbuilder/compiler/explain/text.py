"""An explanation as text: the tree that PostgreSQL prints, for a flow.

```text
run daily-report  (cost=0.000..215.010 rows=1 width=64)
  Durability: group: an effect starts when all that it rests on is on disk; …
  ->  http fetch  (cost=0.000..100.000 rows=1 width=2048)
        Executor: http client; effect: read
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbuilder.compiler.explain.nodes import Actual, Estimate, Explanation, PlanNode


def as_text(explanation: Explanation) -> str:
    """Return an explanation as text for people; costs and times are in milliseconds."""
    lines: list[str] = []
    _write(explanation.plan, "", "", "  ", lines)
    if explanation.passes:
        lines.append("Passes:")
        for report in explanation.passes:
            lines.append(f"  {report.name}")
            lines += [f"    {what}" for what in report.did]
    if explanation.execution_time is not None:
        lines.append(f"Run: {explanation.run_id}, {explanation.status}")
        lines.append(f"Execution time: {explanation.execution_time:.3f} ms")
    return "\n".join(lines) + "\n"


def figures(estimate: Estimate | None, actual: Actual | None, *, never: bool = False) -> str:
    """Return estimated and actual figures as they stand behind a node's title."""
    parts = []
    if estimate is not None:
        cost = f"cost={estimate.start:.3f}..{estimate.end:.3f}"
        parts.append(f"({cost} rows={estimate.rows:g} width={estimate.width:g})")
    if actual is not None:
        time = f"actual time={actual.start:.3f}..{actual.end:.3f}"
        loops = f" loops={actual.loops}" if actual.loops != 1 else ""
        attempts = f" attempts={actual.attempts}" if actual.attempts > 1 else ""
        parts.append(f"({time} rows={actual.rows} width={actual.width}{loops}{attempts})")
    elif never:
        parts.append("(never executed)")
    return " ".join(parts)


def _write(node: PlanNode, first: str, indent: str, inner: str, lines: list[str]) -> None:
    """Write a node and what hangs below it.

    Args:
        node: the node.
        first: what stands before its title.
        indent: the column of its children's arrows.
        inner: what stands before its details.
        lines: where they are added.
    """
    shown = figures(node.estimate, node.actual, never=node.never_executed)
    lines.append(f"{first}{node.title}{'  ' + shown if shown else ''}")
    lines += [f"{inner}{label}: {text}" for label, text in node.details]
    for child in node.children:
        _write(child, f"{inner}->  ", inner, inner + "      ", lines)
