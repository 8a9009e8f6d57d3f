"""A run as a table for notebooks."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Final

from flowbuilder.runtime.views import told

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView, TaskView

MOST_ROWS: Final = 200
_COLOURS: Final = {
    "succeeded": "#2e7d32",
    "failed": "#c62828",
    "cancelled": "#8e24aa",
    "running": "#1565c0",
    "waiting": "#ef6c00",
}
_MARKS: Final = {
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "skipped": "–",
    "running": "▶",
    "waiting": "◷",
}


def run_as_html(run: RunView, now: float | None = None) -> str:
    """Return a run with its tasks as a table; what authors and tasks have written is escaped."""
    now = time.time() if now is None else now
    began = run.started_at if run.started_at is not None else run.created_at
    took = (run.ended_at if run.ended_at is not None else now) - began
    tasks = told(run)
    rows = "".join(_row(path, task, now) for path, task in tasks[:MOST_ROWS])
    more = len(tasks) - MOST_ROWS
    if more > 0:
        rows += f'<tr><td colspan="4" style="text-align:left">… and {more} more</td></tr>'
    head = "".join(f'<th style="text-align:left">{word}</th>' for word in ("task", "status", "time", "note"))
    return (
        f'<div class="flowbuilder-run"><p><b>{html.escape(run.flow)}</b> {_status(run.status)} '
        f"{_seconds(took)} <code>{html.escape(run.run_id)}</code></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_error(run.error)}</div>"
    )


def _row(path: str, task: TaskView, now: float) -> str:
    time = task.duration
    if time is None and task.status == "running" and task.started_at is not None:
        time = now - task.started_at
    cells = (
        html.escape(path),
        _status(task.status),
        "" if time is None else _seconds(time),
        html.escape(_note(task)),
    )
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def _status(status: str) -> str:
    colour = _COLOURS.get(status, "#757575")
    return f'<span style="color:{colour}">{_MARKS.get(status, "·")} {html.escape(status)}</span>'


def _note(task: TaskView) -> str:
    parts = []
    if task.items is not None:
        done = f"{task.items_done} of " if task.items_done not in (None, task.items) else ""
        parts.append(f"{done}{task.items} items")
    if task.attempts > 1:
        parts.append(f"{task.attempts} attempts")
    if task.error:
        parts.append(f"{task.error.get('kind')}: {str(task.error.get('message'))[:200]}")
    if task.reason:
        parts.append(task.reason)
    if task.until is not None:
        parts.append(f"until {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(task.until))}")
    return ", ".join(parts)


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _error(error: dict[str, object] | None) -> str:
    if not error:
        return ""
    text = f"{error.get('kind')}: {str(error.get('message'))[:1000]}"
    return f'<p style="color:{_COLOURS["failed"]}">{html.escape(text)}</p>'
