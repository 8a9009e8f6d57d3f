"""Random flows in Python give what the same calls give without an engine, and what their text gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbuilder import flow, lang, map, task, types, when
from flowbuilder.testing import run_flow
from flowbuilder.testing.flows import load_text


@task(effect="pure")
def plus(a: int, b: int = 1) -> int:
    return a + b


@task
def listed(a: int, b: int) -> list[int]:
    return [a, b, a]


@task(effect="read")
async def largest(values: list[int]) -> int:
    return max(values, default=0)


def if_positive(a: Any, b: Any) -> Any:
    with when(a > 0) as positive:
        then = plus(a, b)
    with positive.otherwise():
        otherwise = plus(b, 7)
    return when(lang.status_of(then) == "succeeded", then, otherwise)


NUMBERS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[int, int], int]]] = {
    "task": (lambda a, b: plus(a, b), lambda a, b: a + b),
    "default argument": (lambda a, _: plus(a), lambda a, _: a + 1),
    "sum": (lambda a, b: a + b, lambda a, b: a + b),
    "difference": (lambda a, b: 3 - a * 2 - b, lambda a, b: 3 - a * 2 - b),
    "division": (lambda a, b: a // 3 + b % 5, lambda a, b: a // 3 + b % 5),
    "negative": (lambda a, b: -a + abs(b), lambda a, b: -a + abs(b)),
    "choice": (lambda a, b: when((a > b) & ~(a == 1) | (b < 0), a, b), lambda a, b: a if (a > b and a != 1) or b < 0 else b),
    "conditional tasks": (if_positive, lambda a, b: a + b if a > 0 else b + 7),
    "set": (lambda a, b: types.set({"x": [a, {"y": b}]}).x[1].y, lambda a, b: b),
    "slice": (lambda a, b: listed(a, b)[1:][0], lambda a, b: b),
    "map": (
        lambda a, b: largest(map(plus, listed(a, b), b=2)),
        lambda a, b: max(a, b) + 2,
    ),
    "map of a group": (
        lambda a, b: largest(map(lambda one: plus(plus(one, 1), b) - one, listed(a, b))),
        lambda a, b: b + 1,
    ),
    "map of an expression": (lambda a, b: lang.sum(map(lambda one: one * b, [a, 1, 2])), lambda a, b: (a + 3) * b),
    "comprehension": (lambda a, b: lang.len(lang.where([a, b, 5], lambda one: one > 2)), lambda a, b: sum(x > 2 for x in (a, b, 5))),
    "text": (lambda a, b: lang.len(lang.text("{a}/{b}", a=a, b=b)), lambda a, b: len(f"{a}/{b}")),
}  # fmt: skip
"""What a step may be: as it is recorded, and what it means."""

STEP = st.tuples(st.sampled_from(list(NUMBERS)), st.integers(0, 50), st.integers(0, 50))
PROGRAM = st.lists(STEP, min_size=1, max_size=8)


def follow(program: list[tuple[str, int, int]], start: list[Any], which: int) -> list[Any]:
    """Go through the steps: each takes two values of those before it."""
    values = list(start)
    for kind, first, second in program:
        values.append(NUMBERS[kind][which](values[first % len(values)], values[second % len(values)]))
    return values


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PROGRAM, st.integers(-9, 9), st.integers(-9, 9))
async def test_a_recorded_flow_gives_what_its_calls_mean(
    program: list[tuple[str, int, int]], a: int, b: int
) -> None:
    @flow
    def drawn(a: int, b: int = 0):
        types.set(0)
        return follow(program, [a, b, 4], 0)

    expected = {"result": follow(program, [a, b, 4], 1)}
    view = await run_flow(drawn.load(), {"a": a, "b": b})
    text = await run_flow(load_text(drawn.to_yaml(), Path(__file__).parent), {"a": a, "b": b})

    assert (view.status, view.outputs) == ("succeeded", expected), (view.error, drawn.to_yaml())
    assert text.outputs == expected
    assert list(text.tasks) == list(view.tasks)
