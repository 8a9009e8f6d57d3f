"""What a @task is annotated to return is checked: the failure names the task, the path and the Python line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

from flowbuilder import flow, map, task
from flowbuilder.testing.flows import run_flow


class Kind(enum.Enum):
    A = "a"
    B = "b"


class Row(msgspec.Struct):
    id: int
    at: dt.date
    kind: Kind = Kind.A
    inner: list[Row] | None = None


@dataclasses.dataclass
class Point:
    x: float
    label: str | None = None


class Mode(typing.TypedDict):
    fast: bool


class Model(pydantic.BaseModel):
    count: int
    at: dt.date


class Unknown:
    """A class that no JSON Schema describes."""


DAY = dt.date(2026, 1, 5)
T = typing.TypeVar("T")


def a_struct() -> Row:
    return Row(1, DAY, Kind.B, [Row(2, DAY)])


def structs() -> list[Row]:
    return [Row(n, DAY) for n in range(3)]


def a_dataclass() -> Point | None:
    return Point(1)


def no_dataclass() -> Point | None:
    return None


def a_mapping() -> Mode:
    return {"fast": True}


def a_model() -> Model:
    return Model(count=1, at=DAY)


def a_tuple() -> tuple[int, str]:
    return 1, "a"


def a_set() -> set[int]:
    return {7}


def times() -> dict[str, dt.datetime | dt.timedelta]:
    return {"at": dt.datetime(2026, 1, 5, tzinfo=dt.UTC), "for": dt.timedelta(hours=1)}


def some_bytes() -> bytes:
    return b"x"


def nothing() -> None:
    pass


def numbers() -> dict[int, float]:
    return {1: 2}


def anything() -> T:  # type: ignore[type-var]
    return 5  # type: ignore[return-value]


async def later() -> int:
    return 3


def literal() -> typing.Literal["a", 1]:
    return 1


GOOD = [
    *(a_struct, structs, a_dataclass, no_dataclass, a_mapping, a_model, a_tuple, a_set, times, some_bytes),
    *(nothing, numbers, anything, later, literal),
]


@pytest.mark.parametrize("function", GOOD, ids=lambda function: function.__name__)
async def test_what_fits_its_annotation_goes_through(function: Callable[[], Any]) -> None:
    stated = task(function)

    @flow
    def whole():
        return {"value": stated()}

    view = await run_flow(whole.load())

    assert view.status == "succeeded", view.error


def no_struct() -> Row:
    return {"id": "one", "at": "2026-01-05"}  # type: ignore[return-value]


def no_list() -> list[dict[str, int]]:
    return [{"a": 1}, {"a": "x"}]  # type: ignore[dict-item]


def none() -> str:
    return None  # type: ignore[return-value]


def no_date() -> dt.date:
    return "soon"  # type: ignore[return-value]


async def no_model() -> Model:
    return {"count": 1}  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (no_struct, '$.id: "one" is not of type "integer"'),
        (no_list, '$[1].a: "x" is not of type "integer"'),
        (none, '$: null is not of type "string"'),
        (no_date, '$: "soon" is not a "date"'),
        (no_model, '$: "at" is a required property'),
    ],
)
async def test_what_does_not_fit_names_task_path_and_line(function: Callable[[], Any], told: str) -> None:
    stated = task(retry=3)(function)

    @flow
    def whole():
        return stated()

    view = await run_flow(whole.load())

    assert view.error is not None
    assert (view.error["kind"], view.error["task"]) == ("output.schema", function.__name__)
    assert told in view.error["message"]
    line = function.__code__.co_firstlineno
    assert f"of '{function.__name__}' (" in view.error["message"]
    assert f"{Path(__file__).name}:{line})" in view.error["message"]
    assert view.tasks[function.__name__].attempts == 1  # what does not fit is not tried again


def test_an_annotation_without_a_schema_checks_nothing() -> None:
    @task
    def one() -> Unknown:
        return Unknown()

    @task
    def some() -> Iterator[int]:
        yield 1

    @flow
    def whole():
        one()
        some()

    assert "schema:" not in whole.to_yaml()


def test_a_schema_that_is_given_holds_in_place_of_the_annotation() -> None:
    @task(schema={"type": "integer", "minimum": 5})
    def one() -> int:
        return 1

    @task(schema=None)
    def two() -> int:
        return "x"  # type: ignore[return-value]

    @flow
    def whole():
        one()
        two()

    text = whole.to_yaml()

    assert text.count("schema:") == 1
    assert "minimum: 5" in text


async def test_each_element_of_a_map_is_checked_by_itself() -> None:
    @task
    def double(n: int) -> int:
        return "two" if n == 2 else 2 * n  # type: ignore[return-value]

    @flow
    def whole(numbers: list[int]):
        return map(double, numbers, on_error="continue")

    view = await run_flow(whole.load(), {"numbers": [1, 2, 3]})

    assert view.outputs == {"result": [2, None, 6]}
    assert [error["kind"] for error in view.tasks["double"].errors or ()] == ["output.schema"]
