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
_GAP_COLUMNS: Final = 2
_LONG: Final = 0.25
"""A stretch in which nothing runs is left out if it is longer than this part of the whole."""


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
    for bar, name in zip(shown, names, strict=True):
        text = cut(name, wide)
        head = f"{'*' if bar.critical else ' '} {text}{' ' * (wide - width_of(text))} "
        took = format_time(bar.end - bar.segments[0].start)
        tries = f" ×{bar.attempts}" if bar.attempts > 1 else ""
        drawn = scale.draw(bar)
        lines.append(f"{head}{_coloured(drawn) if coloured else drawn} {took}{tries}".rstrip())
    if len(bars) > len(shown):
        lines.append(f"… {len(bars) - len(shown)} more")
    put("\n".join([*lines, _legend(shown, scale)]) + "\n", stream)


def _legend(bars: Sequence[Bar], scale: _Scale) -> str:
    kinds = {segment.kind for bar in bars for segment in bar.segments if segment.end > segment.start}
    told = [f"{mark} {kind}" for kind, mark in MARKS.items() if kind in kinds or kind == "running"]
    if any(bar.critical for bar in bars):
        told.append("* critical path")
    if scale.left_out:
        told.append(f"{GAP} {format_time(scale.left_out)} left out")
    return "  " + "   ".join(told)


class _Scale:
    """Which column a moment has; long stretches in which nothing runs have next to none."""

    def __init__(self, bars: Sequence[Bar], start: float, end: float, room: int) -> None:
        self._room = room
        self._stretches: list[_Stretch] = []
        quiet = [(a, b) for a, b in _quiet(bars, start, end) if b - a > _LONG * (end - start)]
        self.left_out = sum(b - a for a, b in quiet)
        if self.left_out >= end - start:  # nothing has run yet: the wait is all there is to see
            quiet, self.left_out = [], 0.0
        seconds = end - start - self.left_out
        columns = max(room - _GAP_COLUMNS * len(quiet), 1)
        per_second = columns / seconds if seconds > 0 else 0.0
        column, at = 0.0, start
        for a, b in [*quiet, (end, end)]:
            if a > at:
                self._stretches.append(_Stretch(at, a, column, (a - at) * per_second, False))
                column += (a - at) * per_second
            if b > a:
                self._stretches.append(_Stretch(a, b, column, _GAP_COLUMNS, True))
                column += _GAP_COLUMNS
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
        """Return a task's line: each of its stretches at least one column, what is at work over all else."""
        cells = [" "] * self._room
        for one in self._stretches:
            if one.left_out:
                for place in range(int(one.column), min(int(one.column + one.columns), self._room)):
                    cells[place] = GAP
        for kind in ("queued", "waiting", "retry", "running"):
            for segment in bar.segments:
                if segment.kind != kind or (segment.end == segment.start and kind != "running"):
                    continue
                first = min(int(self.column(segment.start)), self._room - 1)
                last = max(first + 1, min(round(self.column(segment.end)), self._room))
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


def _coloured(text: str) -> str:
    parts = []
    for mark in text:
        code = _COLOURS.get(mark)
        parts.append(f"\x1b[{code}m{mark}\x1b[0m" if code else mark)
    return "".join(parts)
