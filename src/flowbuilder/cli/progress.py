"""Live progress at a terminal, fed by a run's events or by looking at the store."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.results import MARKS, format_time
from flowbuilder.cli.tables import STATUS_COLOURS, cut, one_line, width_of
from flowbuilder.cli.terminal import console, is_rich
from flowbuilder.cli.waits import until
from flowbuilder.runtime.events import TaskEvent
from flowbuilder.runtime.views import ENDED

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from flowbuilder.runtime.events import Event
    from flowbuilder.runtime.views import RunView

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_INSIDE: Final = "[.!"
"""What stands in the path of a task that is part of another: a map's element, a group's, a handler's."""
_MOST_ROWS: Final = 12
_BAR: Final = 24
_WIDEST_NAME: Final = 32
PATIENCE: Final = 0.15
"""Seconds that a run may take before progress is shown: a short one is over before rich is imported."""


class _Row:
    """What is shown of one task."""

    __slots__ = ("attempt", "done", "ended_at", "note", "started_at", "status", "total", "until")

    def __init__(self) -> None:
        self.status = "pending"
        self.attempt = 1
        self.note = ""
        self.done: int | None = None
        self.total: int | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.until: float | None = None


class Progress:
    """A run as it goes: which tasks run, how far the maps are, what has failed.

    Drawn on standard error, and wiped at the end: the result table follows.
    Where standard error is no terminal it does nothing.
    """

    def __init__(self, view: RunView, *, shown: bool) -> None:
        self._flow, self._run_id = view.flow, view.run_id
        self._rows: dict[str, _Row] = {}
        self._began = time.monotonic()
        self._live: Live | None = None
        self.shown = shown and is_rich(sys.stderr)
        self.look(view)

    def begin(self) -> None:
        """Start drawing."""
        if self.shown and self._live is None:
            from rich.live import Live  # start-up time: only for runs that take a while

            self._live = Live(
                get_renderable=self._draw,
                console=console(sys.stderr),
                refresh_per_second=10,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=True,  # what is said meanwhile stands above
            )
            self._live.start()

    def end(self) -> None:
        """Stop drawing, and wipe what was drawn."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def take(self, event: Event) -> None:
        """Note an event.  Those of a map's elements and of a group's tasks count for the map, the group."""
        if not isinstance(event, TaskEvent):
            return
        if any(mark in event.task for mark in _INSIDE):
            return
        row = self._rows.setdefault(event.task, _Row())
        row.status = event.status
        row.attempt = event.attempt
        row.done, row.total = event.done, event.total
        if event.status == "running" and row.started_at is None:
            row.started_at = event.at
        elif event.status in ENDED:
            row.ended_at = event.at

    def look(self, view: RunView) -> None:
        """Note how all tasks stand, as the store says."""
        for name, task in view.tasks.items():
            if any(mark in name for mark in _INSIDE):
                continue
            row = self._rows.setdefault(name, _Row())
            row.status, row.attempt = task.status, task.attempts
            row.started_at = task.started_at
            row.done, row.total = task.items_done, task.items
            row.note, row.until = task.reason or "", task.until
            if task.duration is not None and task.started_at is not None and task.status in ENDED:
                row.ended_at = task.started_at + task.duration

    def note(self, view: RunView) -> None:
        """Note what tasks wait for, which events do not tell; how they stand is known from those."""
        for name, row in self._rows.items():
            if name in view.tasks:
                row.note, row.until = view.tasks[name].reason or "", view.tasks[name].until

    def _draw(self) -> RenderableType:
        from rich.text import Text  # start-up time: see `begin`

        elapsed = time.monotonic() - self._began
        spinner = _SPINNER[int(elapsed * 10) % len(_SPINNER)]
        ended = sum(row.status in ENDED for row in self._rows.values())
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{spinner} ", style="cyan")
        text.append(self._flow, style="bold")
        text.append(f"  {ended} of {len(self._rows)} tasks, {format_time(elapsed)}", style="dim")
        text.append(f"  {self._run_id}\n", style="dim")
        chosen = self._chosen()
        width = min(max((width_of(name) for name, _ in chosen), default=0), _WIDEST_NAME)
        for name, row in chosen:
            self._draw_row(text, cut(name, width), width, row, spinner)
        if len(self._rows) > len(chosen):
            text.append(f"  … {len(self._rows) - len(chosen)} more\n", style="dim")
        return text

    def _chosen(self) -> list[tuple[str, _Row]]:
        """Return the rows with room: what runs or failed first, then what ended last; in file order."""
        rows = list(self._rows.items())
        if len(rows) <= _MOST_ROWS:
            return rows
        rank = {"failed": 0, "running": 1, "waiting": 2}
        order = sorted(
            range(len(rows)),
            key=lambda i: (rank.get(rows[i][1].status, 3), -(rows[i][1].ended_at or 0.0)),
        )
        return [rows[i] for i in sorted(order[:_MOST_ROWS])]

    def _draw_row(self, text: Text, name: str, width: int, row: _Row, spinner: str) -> None:
        mark = spinner if row.status == "running" else MARKS.get(row.status, "·")
        colour = {"1;31": "red", "32": "green", "33": "yellow", "34": "blue", "36": "cyan"}.get(
            STATUS_COLOURS.get(row.status, ""), "dim"
        )
        text.append(f"  {mark} ", style=colour)
        text.append(
            name + " " * (width - width_of(name) + 2),
            style="dim" if row.status in ("skipped", "pending") else "",
        )
        if row.total:
            filled = _BAR * (row.done or 0) // row.total
            text.append("━" * filled, style=colour)
            text.append("━" * (_BAR - filled), style="grey30")
            text.append(f" {row.done or 0}/{row.total} ", style="dim")
        if row.started_at is not None and (row.ended_at is not None or row.status == "running"):
            end = time.time() if row.ended_at is None else row.ended_at
            text.append(format_time(max(end - row.started_at, 0.0)), style="dim")
        if row.attempt > 1:
            text.append(f" attempt {row.attempt}", style="yellow")
        if row.status == "waiting" and (row.note or row.until is not None):
            parts = [one_line(row.note)] if row.note else []
            parts += [until(row.until)] if row.until is not None else []
            text.append(" " + ", ".join(parts), style="dim")
        text.append("\n")
