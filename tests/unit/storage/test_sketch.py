"""Estimates of durations are right to within a few per cent, however they were merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbuilder.storage.api import Statistic
from flowbuilder.storage.sketch import Sketch, decode, encode


def sketch_of(durations: list[float], output_bytes: int = 10) -> Sketch:
    sketch = Sketch(buckets={})
    for duration in durations:
        sketch.add(Statistic("f", "t", duration, output_bytes, False))
    return sketch


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60), st.sampled_from((0.5, 0.95, 1.0)))
def test_a_quantile_is_close_to_the_exact_one(durations: list[float], part: float) -> None:
    rank = max(1, -int(-part * len(durations) // 1))
    exact = sorted(durations)[rank - 1]

    assert sketch_of(durations).quantile(part) == pytest.approx(exact, rel=0.06)


@given(st.lists(st.floats(0.0, 1e4), max_size=40), st.lists(st.floats(0.0, 1e4), max_size=40))
def test_merging_is_the_same_as_adding(first: list[float], second: list[float]) -> None:
    merged = sketch_of(first)

    merged.merge(sketch_of(second))

    assert merged == sketch_of(first + second)


def test_a_sketch_survives_being_kept() -> None:
    sketch = sketch_of([0.0, 1e-9, 0.1, 0.2, 1e9])
    sketch.rebase()

    assert decode(encode(sketch)) == sketch


def test_what_a_task_does_now_outweighs_what_it_did_long_ago() -> None:
    sketch = Sketch(buckets={})
    for _ in range(50):
        sketch.merge(sketch_of([1.0] * 1_000))
    for _ in range(50):
        sketch.merge(sketch_of([100.0] * 1_000))

    assert sketch.executions == 100_000
    assert sketch.summary().duration_p50 == pytest.approx(100.0, rel=0.06)
    assert sketch.summary().output_bytes == pytest.approx(10.0)


def test_a_sketch_stays_small() -> None:
    sketch = sketch_of([1e-6 * 1.01**n for n in range(2_800)])

    assert len(encode(sketch)) < 5_000


@pytest.mark.parametrize(
    ("later", "differs"),
    [([0.02], False), ([0.09] * 30, False), ([0.2] * 30, True), ([0.0005] * 30, True)],
)
def test_only_a_change_of_magnitude_makes_plans_again(later: list[float], differs: bool) -> None:
    sketch = sketch_of([0.01] * 10)
    assert sketch.rebase()

    sketch.merge(sketch_of(later))

    assert sketch.rebase() is differs


def test_tiny_durations_make_no_plan_again() -> None:
    sketch = sketch_of([1e-7])
    sketch.rebase()

    sketch.merge(sketch_of([5e-5] * 10))

    assert not sketch.rebase()
