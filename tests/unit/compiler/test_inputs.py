"""Inputs are checked against their schemas, completed, and arrive as the values that expressions see."""

import datetime as dt
from typing import Any

import pytest

from flowbuilder.compiler.inputs import input_checker
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.core.errors import InputError
from flowbuilder.tasks.catalogue import CATALOGUE

FLOW = """
flow: f
inputs:
  day: {type: string, format: date, description: the day of the report}
  limit: {type: integer, minimum: 1, default: 100}
  at: {type: string, format: date-time, default: '2026-01-05T10:00:00+01:00'}
  pause: {type: string, format: duration, default: 1h30m}
  orders:
    type: array
    default: []
    items:
      type: object
      required: [id]
      properties: {id: {type: integer}, since: {type: string, format: date}}
  anything: {default: null}
tasks:
  t: {type: set, with: 1}
"""
CHECK = input_checker(compile_text(FLOW, "f.yaml", catalogue=CATALOGUE).flow)


def violations(inputs: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        CHECK(inputs)
    return dict(caught.value.violations)


def test_defaults_are_filled_in_and_formats_become_values() -> None:
    found = CHECK({"day": "2026-01-05"})

    assert found == {
        "day": dt.date(2026, 1, 5),
        "limit": 100,
        "at": dt.datetime(2026, 1, 5, 10, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        "pause": dt.timedelta(hours=1, minutes=30),
        "orders": [],
        "anything": None,
    }
    assert type(found["day"]) is dt.date


def test_values_that_are_dates_already_are_taken() -> None:
    found = CHECK({"day": dt.date(2026, 1, 5), "pause": dt.timedelta(seconds=90)})

    assert (found["day"], found["pause"]) == (dt.date(2026, 1, 5), dt.timedelta(seconds=90))


def test_formats_deep_inside_become_values_too() -> None:
    found = CHECK({"day": "2026-01-05", "orders": [{"id": 1, "since": "2025-12-31"}, {"id": 2}]})

    assert found["orders"] == [{"id": 1, "since": dt.date(2025, 12, 31)}, {"id": 2}]


def test_every_violation_is_listed_by_its_path() -> None:
    found = violations({"limit": 0, "orders": [{"id": "x"}, {}], "pause": "90", "lmit": 3})

    assert set(found) == {"$.day", "$.limit", "$.orders[0].id", "$.orders[1]", "$.pause", "$.lmit"}
    assert "the day of the report" in found["$.day"]
    assert "did you mean 'limit'?" in found["$.lmit"]


@pytest.mark.parametrize(
    "text", ["2026-13-01", "20260105", "2026-W01-1", "today", "2026-01-05T00:00:00Z", ""]
)
def test_a_date_is_written_in_one_way(text: str) -> None:
    assert set(violations({"day": text})) == {"$.day"}


@pytest.mark.parametrize("value", [object(), 2**70, [2**64]])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    assert set(violations({"day": "2026-01-05", "anything": value})) == {"$.anything"}


@pytest.mark.parametrize(("value", "shown"), [(b"\xff", "/w=="), (float("nan"), None), ((1, 2), [1, 2])])
def test_other_values_arrive_as_json_shows_them(value: object, shown: object) -> None:
    assert CHECK({"day": "2026-01-05", "anything": value})["anything"] == shown


def test_a_value_beyond_the_depth_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]

    assert set(violations({"day": "2026-01-05", "anything": value})) == {"$.anything"}


def test_a_run_does_not_share_its_inputs_with_the_caller() -> None:
    given: dict[str, Any] = {"day": "2026-01-05", "orders": [{"id": 1}]}
    found = CHECK(given)
    given["orders"][0]["id"] = 2

    assert found["orders"] == [{"id": 1}]


def test_a_flow_without_inputs_takes_none() -> None:
    flow = compile_text("flow: f\ntasks: {t: {type: set, with: 1}}", "f.yaml", catalogue=CATALOGUE).flow

    assert input_checker(flow)({}) == {}
    with pytest.raises(InputError, match="has no inputs"):
        input_checker(flow)({"a": 1})


def test_a_pattern_takes_linear_time() -> None:
    text = "flow: f\ninputs: {a: {type: string, pattern: '^(a+)+$'}}\ntasks: {t: {type: set, with: 1}}"
    check = input_checker(compile_text(text, "f.yaml", catalogue=CATALOGUE).flow)

    with pytest.raises(InputError):
        check({"a": "a" * 50_000 + "!"})


@pytest.mark.parametrize("name", ["anything", "day"])
def test_a_text_that_utf8_cannot_hold_is_a_violation(name: str) -> None:
    found = violations({"day": "2026-01-05", name: "\ud800"})

    assert set(found) == {f"$.{name}"}
    assert "cannot be written as JSON" in found[f"$.{name}"]
