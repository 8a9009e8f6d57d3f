"""The timeline of a run, drawn with letters: told apart without colour, as wide as the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from flowbuilder.cli.results import format_time
from flowbuilder.cli.tables import cut, one_line, width_of
from flowbuilder.cli.terminal import columns_of, is_rich, put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbuilder.runtime.timeline import Bar

MARKS: Final[Mapping[str, str]] = {"queued": "·", "running": "█", "waiting": "─", "retry": "~"}
GAP: Final = "≈"
_COLOURS: Final[Mapping[str, str]] = {"·": "2", "█": "36", "─": "34", "~": "33", GAP: "2"}
_MOST_ROWS: Final = 50
_WIDEST_NAME: Final = 28
_NARROWEST: Final = 20
"""Columns of time that there are at least."""
_GAPS: Final = 1 / 3
"""The part of the width that stretches have of which most is left out."""
_WORTH_SEEING: Final = 1.0
"""Seconds of work that have room made for them: where all ran for less, the waits are what there is to see."""
_TINY: Final = 0.1
"""Room is made where work would have less than this part of the width."""


class _Stretch(NamedTuple):
    """A stretch of time and the columns that it has."""

    start: float
    end: float
    column: float
    columns: float
    left_out: bool


def show_timeline(stream: TextIO, bars: Sequence[Bar]) -> None:
    """Draw a run's tasks, one a line, from left to right in time; nothing where there is nothing to see."""
    start = min((bar.segments[0].start for bar in bars), default=0.0)
    end = max((bar.end for bar in bars), default=0.0)
    if end - start <= 0:
        return
    shown = bars[:_MOST_ROWS]
    names = [one_line(bar.path) for bar in shown]
    wide = min(max(map(width_of, names)), _WIDEST_NAME)
    room = max(columns_of(stream) - wide - 3 - 10, _NARROWEST)
    scale = _Scale(shown, start, end, room)
    coloured = is_rich(stream)
    lines = [f"{' ' * (wide + 3)}0s{format_time(end - start).rjust(room - 2)}"]
    marks: set[str] = set()
    for bar, name in zip(shown, names, strict=True):
        text = cut(name, wide)
        head = f"{'*' if bar.critical else ' '} {text}{' ' * (wide - width_of(text))} "
        took = format_time(bar.end - bar.segments[0].start)
        tries = f" ×{bar.attempts}" if bar.attempts > 1 else ""
        drawn = scale.draw(bar)
        marks.update(drawn)
        lines.append(f"{head}{_coloured(drawn) if coloured else drawn} {took}{tries}".rstrip())
    if len(bars) > len(shown):
        lines.append(f"… {len(bars) - len(shown)} more")
    put("\n".join([*lines, _legend(marks, shown, scale)]) + "\n", stream)


def _legend(marks: set[str], bars: Sequence[Bar], scale: _Scale) -> str:
    told = [f"{mark} {kind}" for kind, mark in MARKS.items() if mark in marks]
    if any(bar.critical for bar in bars):
        told.append("* critical path")
    if scale.left_out:
        told.append(f"{GAP} most of {format_time(scale.left_out)} left out")
    return "  " + "   ".join(told)


class _Scale:
    """Which column a moment has; long stretches in which nothing runs have few, where work would have none."""

    def __init__(self, bars: Sequence[Bar], start: float, end: float, room: int) -> None:
        self._room = room
        self._stretches: list[_Stretch] = []
        quiet = _to_leave_out(_quiet(bars, start, end), end - start)
        self.left_out = sum(b - a for a, b in quiet)
        gaps = room * _GAPS if quiet else 0.0
        per_second = (room - gaps) / (end - start - self.left_out)
        column, at = 0.0, start
        for a, b in [*quiet, (end, end)]:
            if a > at:
                self._stretches.append(_Stretch(at, a, column, (a - at) * per_second, False))
                column += (a - at) * per_second
            if b > a:
                columns = gaps * (b - a) / self.left_out
                self._stretches.append(_Stretch(a, b, column, columns, True))
                column += columns
            at = b

    def column(self, moment: float) -> float:
        """Return the column of a moment."""
        for one in self._stretches:
            if moment <= one.end:
                if one.end == one.start:
                    return one.column
                return one.column + (moment - one.start) / (one.end - one.start) * one.columns
        return float(self._room)

    def draw(self, bar: Bar) -> str:
        """Return a task's line: each of its stretches has a column, and what is at work goes over all else."""
        cells = [" "] * self._room
        for one in self._stretches:
            if one.left_out:
                cells[min(int(one.column + one.columns / 2), self._room - 1)] = GAP
        for kind in ("queued", "waiting", "retry", "running"):
            for segment in bar.segments:
                if segment.kind != kind or (segment.end == segment.start and kind != "running"):
                    continue
                begins, ends = self.column(segment.start), self.column(segment.end)
                if kind == "queued" and ends - begins < 0.5:
                    continue  # next to nothing, and no task at work
                first = min(int(begins), self._room - 1)
                last = max(first + 1, min(round(ends), self._room))
                for place in range(first, last):
                    if cells[place] != GAP or kind == "running":
                        cells[place] = MARKS[kind]
        return "".join(cells)


def _quiet(bars: Sequence[Bar], start: float, end: float) -> list[tuple[float, float]]:
    """Return the stretches in which nothing runs, in order."""
    busy = sorted(
        (segment.start, segment.end) for bar in bars for segment in bar.segments if segment.kind == "running"
    )
    quiet, at = [], start
    for a, b in busy:
        if a > at:
            quiet.append((at, a))
        at = max(at, b)
    if end > at:
        quiet.append((at, end))
    return quiet


def _to_leave_out(quiet: list[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """Return those of the stretches in which nothing runs that would leave work no room."""
    work = seconds - sum(b - a for a, b in quiet)
    if work < _WORTH_SEEING or work > _TINY * seconds:
        return []
    return [(a, b) for a, b in quiet if b - a > work]


def _coloured(text: str) -> str:
    parts = []
    for mark in text:
        code = _COLOURS.get(mark)
        parts.append(f"\x1b[{code}m{mark}\x1b[0m" if code else mark)
    return "".join(parts)
