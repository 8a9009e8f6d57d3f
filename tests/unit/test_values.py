"""Values come back as they went in; what is no value is refused by its place."""

import dataclasses
import datetime as dt
import enum
import zoneinfo
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbuilder.core import values
from flowbuilder.core.errors import OutputError

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.timedeltas()
    | st.datetimes(timezones=st.just(dt.UTC))
)
anything = st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=30)


def same(a: object, b: object) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return a == b


@given(anything)
def test_a_value_comes_back_with_its_types(value: object) -> None:
    assert same(values.decode(values.encode(value)), value)


@dataclasses.dataclass
class Point:
    x: int
    y: tuple[int, ...]


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (Point(1, (2, 3)), {"x": 1, "y": [2, 3]}),
        (Colour.RED, 1),
        ({1: "a"}, {"1": "a"}),
        ([True, 1, 1.0], [True, 1, 1.0]),
        (bytearray(b"x"), b"x"),
    ],
)
def test_what_python_returns_is_made_plain(made: object, kept: object) -> None:
    assert same(values.plain(made), kept)


@pytest.mark.parametrize(
    ("made", "kind", "path"),
    [
        (2**63, "output.type", "$"),
        ([1, 2**64], "output.type", "$[1]"),
        ({"a": [float("nan")]}, "output.type", "$.a[0]"),
        ({"a": object()}, "output.type", "$.a"),
        (dt.datetime(2026, 1, 1), "output.type", "$"),
        ({1: 0, "1": 0}, "output.type", "$"),
        ({None: 0}, "output.type", "$"),
        ("\ud800", "output.type", "$"),
        ([{"a": "x\udfff"}], "output.type", "$"),
        ({"\ud800": 1}, "output.type", "$"),
    ],
)
def test_what_is_no_value_is_refused_by_its_place(made: object, kind: str, path: str) -> None:
    with pytest.raises(OutputError) as caught:
        values.encode(made)

    assert (caught.value.kind, caught.value.path) == (kind, path)


def test_depth_is_bounded() -> None:
    deep: list[object] = []
    for _ in range(70):
        deep = [deep]

    with pytest.raises(OutputError, match="deep"):
        values.encode(deep)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "twice", [lambda v: [v, v], lambda v: {"a": v, "b": v}, lambda v: (v, v), lambda v: [v, {"x": v}]]
)
@pytest.mark.parametrize("levels", [25, 50])
def test_a_bomb_of_shared_parts_is_refused_before_it_is_written(
    twice: Callable[[object], object], levels: int
) -> None:
    bomb: object = [1, 1]
    for _ in range(levels):
        bomb = twice(bomb)

    with pytest.raises(OutputError, match=r"elements|deep"):
        values.encode(bomb)


def test_parts_that_stand_at_many_places_are_kept_at_each() -> None:
    part = {"xs": [1.5, None], "d": dt.date(2026, 1, 2), "t": (1, 2)}
    value = [[part, part], {"a": part}] * 50_000

    kept = {"xs": [1.5, None], "d": dt.date(2026, 1, 2), "t": [1, 2]}
    assert values.plain(value) == [[kept, kept], {"a": kept}] * 50_000


def test_a_part_that_fits_at_one_place_may_be_too_deep_at_another() -> None:
    part: object = [[1.5, None, [dt.date(2026, 1, 2)]]]
    deep = part
    for _ in range(61):
        deep = [deep]

    with pytest.raises(OutputError, match="deep"):
        values.encode([[part] * 60_000, deep])


def test_a_datetime_keeps_its_zone_on_both_sides_of_a_clock_change() -> None:
    for fold in (0, 1):
        value = dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold)
        again = values.decode(values.encode(value))

        assert again.isoformat() == value.isoformat()
        assert again.tzinfo is BERLIN


def test_json_shows_bytes_and_times() -> None:
    value = {"b": b"\x00", "d": dt.date(2026, 1, 2), "t": dt.timedelta(seconds=90, microseconds=5)}

    assert values.to_json(value) == {"b": "AA==", "d": "2026-01-02", "t": "PT90.000005S"}
