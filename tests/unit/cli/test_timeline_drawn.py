"""The timeline: what runs, waits and is tried again can be told apart, and fits the width."""

from __future__ import annotations

import io

import pytest

from flowbuilder.cli.gantt import show_timeline
from flowbuilder.runtime.timeline import Bar, Segment


def drawn(bars: list[Bar], monkeypatch: pytest.MonkeyPatch, width: int = 60) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    show_timeline(stream, bars)
    return stream.getvalue().splitlines()


def bar(path: str, *segments: tuple[str, float, float], critical: bool = False, attempts: int = 1) -> Bar:
    return Bar(path, "succeeded", attempts, [Segment(*one) for one in segments], critical)  # type: ignore[arg-type]


def test_stretches_are_told_apart_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(
        [
            bar("fetch", ("running", 0, 4), critical=True),
            bar("flaky", ("queued", 0, 2), ("running", 2, 4), ("retry", 4, 6), ("running", 6, 8), attempts=2),
            bar("nap", ("waiting", 4, 10)),
        ],
        monkeypatch,
    )

    assert lines[0].rstrip().endswith("10s")
    assert lines[1].startswith("* fetch █")
    assert "·█" in lines[2]
    assert "█~" in lines[2]
    assert "~█" in lines[2]
    assert lines[2].endswith("8s ×2")
    assert lines[3].strip().endswith("6s")
    assert "─" in lines[3]
    assert "* critical path" in lines[4]
    assert all(len(line) <= 60 for line in lines[:-1])
    assert "\x1b" not in "".join(lines)


def test_a_long_wait_is_left_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86400.0
    lines = drawn(
        [
            bar("before", ("running", 0, 2)),
            bar("nap", ("waiting", 2, day)),
            bar("after", ("running", day, day + 2)),
        ],
        monkeypatch,
    )

    assert "≈" in lines[1]
    assert "─≈─" in lines[2]
    assert "left out" in lines[-1]
    assert lines[1].count("█") > 10
    assert lines[3].count("█") > 10


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_names_and_bars_have_room_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    bars = [bar("東京" * 30, ("running", 0, 1)), *[bar(f"t{n}", ("running", n, n)) for n in range(200)]]

    lines = drawn(bars, monkeypatch, width)

    assert lines[-2] == "… 151 more"
    assert all(line.count("█") for line in lines[1:-2])
    assert max(map(len, lines[:-2])) <= max(width, 62)


def test_nothing_is_drawn_of_a_run_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn([], monkeypatch) == []
    assert drawn([bar("a", ("running", 1, 1))], monkeypatch) == []


def test_a_run_that_has_only_waited_is_drawn_as_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn([bar("ask", ("waiting", 0, 60))], monkeypatch)

    assert "──────" in lines[1]
    assert "left out" not in lines[-1]


def test_waits_are_as_long_as_they_are_where_next_to_nothing_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(
        [
            bar("paid", ("queued", 0, 0.01), ("waiting", 0.01, 2)),
            bar("ask", ("queued", 2, 2.001), ("waiting", 2.001, 11)),
            bar("tell", ("running", 11, 11.005)),
        ],
        monkeypatch,
    )

    paid, ask, tell = (line.count("─") for line in lines[1:4])
    assert ask > 4 * paid > 20
    assert tell == 0
    assert lines[3].count("█") == 1
    assert lines[-1].split() == ["█", "running", "─", "waiting"]


def test_work_keeps_its_proportions_beside_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn([bar("a", ("running", 0, 2)), bar("nap", ("waiting", 2, 6.8))], monkeypatch)

    assert lines[2].count("─") > 2 * lines[1].count("█") > 10
    assert "left out" not in lines[-1]
