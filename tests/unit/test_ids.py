"""Run ids sort by the moment they were made in."""

from flowbuilder.core.ids import RUN_ID, RunIds, made_at


def test_ids_of_one_engine_increase_even_when_the_clock_goes_back() -> None:
    ids = RunIds(unique=7)

    made = [ids.make(now) for now in (1.0, 1.0, 1.001, 0.5, 2.0)]

    assert made == sorted(set(made))
    assert all(RUN_ID.fullmatch(run_id) for run_id in made)


def test_ids_of_two_engines_differ_in_the_same_millisecond() -> None:
    assert RunIds(1).make(5.0) != RunIds(2).make(5.0)


def test_an_id_carries_its_moment() -> None:
    assert made_at(RunIds(1).make(1_790_000_000.123)) == 1_790_000_000.123


def test_a_million_ids_in_one_millisecond_spill_into_the_next() -> None:
    ids = RunIds(1)

    last = ""
    for _ in range((1 << 20) + 5):
        new = ids.make(1.0)
        assert new > last
        last = new
