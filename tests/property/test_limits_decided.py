"""The decisions behind limits, against what they promise, for whatever comes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from flowbuilder.core.limits import RatePolicy
from flowbuilder.core.rates import RateState, reserve
from flowbuilder.core.shares import Shared, settle

_ROUNDING = 1e-6


@given(
    limit=st.integers(1, 200),
    per=st.floats(0.01, 10_000),
    burst=st.integers(1, 200),
    asks=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), min_size=1, max_size=30),
)
def test_no_window_ever_has_more_than_the_limit(
    limit: int, per: float, burst: int, asks: list[tuple[float, int]]
) -> None:
    policy = RatePolicy(limit, per, min(burst, limit))
    state, now, moments = RateState(), 1_767_225_600.0, list[float]()
    for wait, count in asks:
        now += wait * per
        got, state = reserve(state, policy, now, count)
        assert all(moment >= now for moment in got)
        moments += got

    assert moments == sorted(moments)
    later = zip(moments, moments[limit:], strict=False)
    assert all(second - first >= per - _ROUNDING * max(1.0, per) for first, second in later)


@given(
    limit=st.integers(1, 100), per=st.floats(0.1, 1000), burst=st.integers(1, 100), count=st.integers(1, 300)
)
def test_who_waits_for_nothing_gets_all_that_the_limit_allows(
    limit: int, per: float, burst: int, count: int
) -> None:
    """No slower than one slice an attempt, whatever the burst."""
    moments, _ = reserve(RateState(), RatePolicy(limit, per, min(burst, limit)), 0.0, count)

    slow = [moment for place, moment in enumerate(moments) if moment > place * per / limit + per * 1.02]
    assert not slow


def test_bursts_of_a_large_limit_are_kept_in_few_numbers() -> None:
    policy, state, now = RatePolicy(1_000_000, 3600.0, 1000), RateState(), 0.0
    for _ in range(200):
        moments, state = reserve(state, policy, now, 500)
        now = moments[-1]

    assert len(state.recent) <= 130


def test_a_clock_that_was_set_back_makes_nobody_wait_for_the_difference() -> None:
    policy = RatePolicy(1, 10.0)
    _, state = reserve(RateState(), policy, 100_000.0, 1)

    moments, _ = reserve(state, policy, 50_000.0, 1)

    assert moments == [50_010.0]


@given(
    capacity=st.integers(1, 12),
    engines=st.integers(1, 5),
    seed=st.integers(0, 2**32),
)
def test_engines_never_use_more_places_than_there_are_and_none_starves(
    capacity: int, engines: int, seed: int
) -> None:
    chance = random.Random(seed)
    names = [f"e{number}" for number in range(engines)]
    living, used, allowed = set(names), dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    waiting = {name: chance.randint(0, 30) for name in names}
    served = dict.fromkeys(names, 0)
    shared, now = Shared(), 0.0

    def step(name: str) -> None:
        nonlocal shared
        if used[name] and chance.random() < 0.6:
            used[name] -= 1
        granted, shared = settle(
            shared,
            name,
            used=used[name],
            wanted=waiting[name],
            capacity=capacity,
            now=now,
            alive=living.__contains__,
        )
        allowed[name] = granted.allowed
        assert granted.held >= used[name]
        while waiting[name] and used[name] < allowed[name]:
            used[name] += 1
            waiting[name] -= 1
            served[name] += 1
        assert sum(used[each] for each in living) <= capacity

    for _ in range(60 * engines):
        now += 0.2
        if len(living) > 1 and chance.random() < 0.01:
            living.discard(chance.choice(sorted(living)))
        step(chance.choice(sorted(living)))
    for _ in range(3000):
        now += 0.2
        for name in sorted(living):
            step(name)
    assert all(not waiting[name] for name in living)
