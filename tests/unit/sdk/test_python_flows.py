"""Flows in Python: what is recorded, what comes of it, and that it is the same as its text."""

import asyncio
import dataclasses
import datetime as dt
import enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

import flowbuilder
from flowbuilder import Engine, FlowError, InputError, RunFailed, flow, lang, load, map, task, types
from flowbuilder.core.errors import NotFound
from flowbuilder.testing import FakeClock, run_flow
from flowbuilder.testing.flows import load_text


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Order:
    id: int
    total: float
    day: dt.date


class Line(msgspec.Struct):
    article: str
    count: int = 1


class Customer(pydantic.BaseModel):
    name: str
    vip: bool = False


class Options(TypedDict, total=False):
    deep: bool


@task
def fetch(day: str) -> list[Order]:
    return [Order(n, n * 1.5, dt.date(2026, 1, n)) for n in (1, 2, 3)]


@task(effect="pure")
def total(orders: list[Order]) -> float:
    return sum(order.total for order in orders)


@task
async def shout(text: str, mark: str = "!") -> str:
    await asyncio.sleep(0)
    return text.upper() + mark


@task
def kind_of(value: Any) -> str:
    return type(value).__name__


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def fail(kind: str) -> str:
    raise ValueError(kind)


async def outputs(made: Any, inputs: dict[str, Any] | None = None) -> Any:
    """Run a flow twice, as Python and as the text that it writes; both must give the same."""
    loaded = made.load()
    view = await run_flow(loaded, inputs)
    text = made.to_yaml()
    again = await run_flow(load_text(text, Path(__file__).parent), inputs)
    assert view.status == "succeeded", view.error
    assert view.outputs == again.outputs
    return view.outputs


async def test_calls_become_tasks_with_the_names_of_the_functions() -> None:
    @flow
    def report(day: str, limit: int = 100):
        orders = fetch(day)
        first, second = shout("a"), shout("b", mark="?")
        return {"total": total(orders), "said": [first, second], "limit": limit}

    view = await run_flow(report.load(), {"day": "2026-01-05"})

    assert view.outputs == {"total": 9.0, "said": ["A!", "B?"], "limit": 100}
    assert list(view.tasks) == ["fetch", "shout", "shout_2", "total"]
    assert report.name == "report"


def test_outside_of_a_flow_a_task_is_its_function() -> None:
    assert total([Order(1, 2.5, dt.date(2026, 1, 1))]) == 2.5
    assert asyncio.run(shout("a")) == "A!"
    assert map(add, [1, 2, 3], b=10) == [11, 12, 13]
    assert map(add, [1, 2], [10, 20]) == [11, 22]


async def test_expressions_are_recorded() -> None:
    @flow
    def sums(n: int, name: str, rows: list[dict[str, Any]], when: dt.date):
        x = types.set({"n": n, "rows": rows})
        return {
            "arithmetic": (x.n + 2) * 3 - 10 // x.n + 2**x.n + -x.n % 4,
            "reverse": 100 - x.n,
            "compared": (x.n > 2) & ~(x.n == 4) | (name == "nobody"),
            "null": x.rows[0].get("missing") == None,  # noqa: E711
            "member": x.rows[-1]["a-b"],
            "slice": x.rows[:1],
            "method": name.upper().replace("A", "o"),
            "within": lang.len(name) + lang.sum(lang.each(x.rows, lambda row: row.v)),
            "where": lang.where(x.rows, lambda row: row.v > 1),
            "contains": name.contains("nn"),
            "is_in": x.n.is_in([1, 2, 3]),
            "default": x.rows[7].v.default("none"),
            "choice": flowbuilder.when(x.n > 2, "many", "few"),
            "text": lang.text("{name} has {{{n}}}", name=name, n=x.n),
            "rounded": round(x.n / 7, 2),
            "date": when + dt.timedelta(days=1),
            "plain": "${{ inputs.n }}",
        }

    rows = [{"v": 1, "a-b": "x"}, {"v": 2, "a-b": "y"}]

    assert await outputs(sums, {"n": 3, "name": "anna", "rows": rows, "when": dt.date(2026, 2, 28)}) == {
        "arithmetic": 15 - 3 + 8 + 1,
        "reverse": 97,
        "compared": True,
        "null": True,
        "member": "y",
        "slice": rows[:1],
        "method": "oNNo",
        "within": 7,
        "where": rows[1:],
        "contains": True,
        "is_in": True,
        "default": "none",
        "choice": "many",
        "text": "anna has {3}",
        "rounded": 0.43,
        "date": dt.date(2026, 3, 1),
        "plain": "${{ inputs.n }}",
    }


async def test_a_map_goes_over_what_is_known_only_then() -> None:
    @flow
    def mapped(numbers: list[int], table: dict[str, int]):
        return {
            "of_task": map(add, numbers, b=10, limit=2),
            "of_method": add.map(numbers),
            "side_by_side": map(add, numbers, [10, 20, 30]),
            "of_group": map(lambda n: add(add(n, 1), 1) + n, numbers),
            "of_mapping": map(lambda pair: add(pair.value, 1), table),
            "of_expression": map(lambda n: n * n, numbers),
            "indexed": map(lambda n, index: [index, n], numbers),
            "nested": map(lambda n: map(lambda m: add(n, m), numbers), numbers),
            "of_empty": map(add, []),
        }

    assert await outputs(mapped, {"numbers": [1, 2, 3], "table": {"a": 1}}) == {
        "of_task": [11, 12, 13],
        "of_method": [2, 3, 4],
        "side_by_side": [11, 22, 33],
        "of_group": [4, 6, 8],
        "of_mapping": {"a": 2},
        "of_expression": [1, 4, 9],
        "indexed": [[0, 1], [1, 2], [2, 3]],
        "nested": [[2, 3, 4], [3, 4, 5], [4, 5, 6]],
        "of_empty": [],
    }


async def test_conditions_choose_tasks() -> None:
    @flow
    def choosing(n: int):
        with flowbuilder.when(n > 10) as many:
            big = add(n)
            with flowbuilder.when(n > 100):
                huge = add(n, 2)
        with many.otherwise():
            small = add(n, -1)
        direct = add(n, 5, if_=n == 1)
        level = flowbuilder.switch((n > 100, "huge"), (n > 10, "big"), default="small")
        return [big, huge, small, direct, level, lang.status_of(huge)]

    assert (await outputs(choosing, {"n": 1}))["result"] == [None, None, 0, 6, "small", "skipped"]
    assert (await outputs(choosing, {"n": 11}))["result"] == [12, None, None, None, "big", "skipped"]
    assert (await outputs(choosing, {"n": 200}))["result"] == [201, 202, None, None, "huge", "succeeded"]


async def test_options_of_a_call_win_over_those_of_the_function() -> None:
    @flow
    def tried(name: str):
        first = fail.with_options(on_error={"value": "rescued"}, name="Try it")(name, id="first")
        second = fail(name, on_error=lambda error: shout(error.message))
        third = fail(name, on_error="continue", needs=[first])
        first >> second
        return [first, second, third, lang.error_of(third).kind]

    text = tried.to_yaml()

    assert (await outputs(tried, {"name": "x"}))["result"] == ["rescued", "X!", None, "python.ValueError"]
    assert "name: Try it" in text
    assert text.count("needs: [first]") == 2


async def test_a_group_is_one_and_its_tasks_are_seen_from_outside() -> None:
    @flow
    def grouped(n: int):
        before = add(n)
        with flowbuilder.group("both", timeout="1m") as both:
            a = add(n, needs=[before])
            with flowbuilder.group("inner"):
                b = add(a)
        return {"b": b, "after": add(b), "all": both.output}

    assert await outputs(grouped, {"n": 1}) == {
        "b": 3,
        "after": 4,
        "all": {"add_2": 2, "inner": {"add_3": 3}},
    }


@flow
def inner(n: int, by: int = 2) -> int:
    return add(n, by)


@flow
def outer(n: int):
    return {"one": inner(n) + 1, "many": inner.map([1, 2], by=n), "two": inner(n, 5, timeout="1m")}


async def test_a_flow_inside_of_a_flow_is_a_run_of_its_own() -> None:
    view = await run_flow(outer.load(), {"n": 10})

    assert view.outputs == {"one": 13, "many": [11, 12], "two": 15}
    assert view.tasks["inner"].child
    assert "path: test_python_flows.py:inner" in outer.to_yaml()


async def test_values_arrive_as_they_are_annotated() -> None:
    @task
    def look(
        order: Order, lines: list[Line], customer: Customer, colour: Colour, day: dt.date | None
    ) -> dict:
        kinds = [type(each).__name__ for each in (order, lines[0], customer, colour, day, order.day)]
        return {"kinds": kinds, "colour": colour, "customer": customer, "order": order, "when": day}

    @flow
    def typed(
        order: Order,
        lines: list[Line],
        customer: Customer,
        colour: Colour = Colour.RED,
        day: dt.date | None = None,
        options: Options | None = None,
        mode: Literal["fast", "slow"] = "fast",
        level: Annotated[int, msgspec.Meta(ge=1, le=9)] = 5,
    ):
        return look(order, lines, customer, colour, day)

    day = dt.date(2026, 1, 5)
    made = await outputs(
        typed,
        {
            "order": {"id": 1, "total": 2.5, "day": "2026-01-05"},
            "lines": [{"article": "a"}],
            "customer": {"name": "Ann"},
            "day": day,
        },
    )

    assert made["result"] == {
        "kinds": ["Order", "Line", "Customer", "Colour", "date", "date"],
        "colour": "red",
        "customer": {"name": "Ann", "vip": False},
        "order": {"id": 1, "total": 2.5, "day": day},
        "when": day,
    }
    with pytest.raises(InputError) as wrong:
        await run_flow(typed.load(), {"order": {"id": "x"}, "lines": [], "customer": {}, "level": 10})
    assert {path for path, _ in wrong.value.violations} >= {"$.order", "$.order.id", "$.customer", "$.level"}


async def test_an_argument_that_does_not_fit_fails_its_task() -> None:
    @flow
    def wrong(rows: list):
        return total(rows)

    view = await run_flow(wrong.load(), {"rows": [{"id": 1}]})

    assert view.error is not None
    assert view.error["kind"] == "input"
    assert "'total': the argument 'orders'" in view.error["message"]


async def test_an_engine_starts_a_flow_as_it_is(tmp_path: Path) -> None:
    async with Engine(tmp_path / "runs.db", flowbuilder.Config(), secrets={}) as engine:
        started = await engine.start(inner, {"n": 1}, key="once")
        again = await inner.start(engine, 2, by=3)

        assert await started.result() == {"result": 3}
        assert await again.result() == 5
    assert load(inner).plan.name == "inner"


def test_a_flow_that_is_called_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBUILDER_HOME", str(tmp_path))

    @flow
    def broken():
        fail("x")

    assert inner(1) == 3
    assert inner.run(n=1, by=1) == 2
    with pytest.raises(RunFailed, match="ValueError"):
        broken()
    with pytest.raises(InputError, match="unexpected keyword"):
        inner(m=1)


async def test_an_async_flow_awaits_its_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBUILDER_HOME", str(tmp_path))

    @flow
    async def awaiting(name: str) -> str:
        loud = await shout(name)
        return await shout(loud)

    assert await awaiting("a") == "A!!"


def test_what_a_flow_returns_is_made_what_it_is_annotated_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWBUILDER_HOME", str(tmp_path))

    @flow
    def orders(day: str) -> list[Order]:
        return fetch(day)

    @flow
    def line(article: str) -> Line:
        return Line(article=shout(article), count=2)

    assert orders("x")[1] == Order(2, 3.0, dt.date(2026, 1, 2))
    assert line("a") == Line("A!", 2)


async def test_handlers_and_keys_of_the_flow_are_options() -> None:
    @flow(
        name="watched",
        version="1.2",
        labels={"team": "shop"},
        timeout=dt.timedelta(minutes=5),
        env={"REGION": "eu"},
        on_failure=lambda error: shout(error.message),
        finally_=lambda: add(1, id="clean"),
    )
    def some_function():
        """Watch.

        Not this.
        """
        fail("oh")

    loaded = some_function.load()
    view = await run_flow(loaded)

    assert (loaded.flow.name, loaded.flow.version, loaded.flow.timeout) == ("watched", "1.2", 300.0)
    assert loaded.flow.description == "Watch."
    assert view.status == "failed"
    assert view.tasks["on_failure:shout"].output == "OH!"
    assert view.tasks["finally:clean"].output == 2


async def test_what_waits_loops_and_undoes_is_said_by_options() -> None:
    @flow
    def patient(n: int):
        booked = shout("booked", undo=lambda output: shout(output, mark=" not"), cache={"key": n})
        polled = add(lang.loop.state, 2, repeat={"until": lang.output >= 7, "max": 9, "state": n})
        slept = flowbuilder.sleep("10m", needs=[polled])
        said = flowbuilder.approval(
            message=lang.text("is {n} right?", n=polled),
            timeout="2h",
            on_error={"value": {"by": None}},
            needs=[slept],
        )
        flowbuilder.emit("asked", {"n": polled}, needs=[said])
        loud = shout("after")
        return {"booked": booked, "polled": polled, "by": said.by, "loud": loud}

    clock = FakeClock()
    view = await run_flow(patient.load(), {"n": 2}, clock=clock)

    assert view.outputs == {"booked": "BOOKED!", "polled": 8, "by": None, "loud": "AFTER!"}
    assert list(view.tasks) == ["shout", "shout~undo", "add", "sleep", "approval", "emit", "shout_2"]


async def test_secrets_that_are_used_are_declared() -> None:
    @flow
    def secret():
        return types.shell(
            'test "$TOKEN" = s3cr3t-value && echo "$TOKEN"', env={"TOKEN": lang.secrets.TOKEN}
        ).stdout

    view = await run_flow(secret.load(), secrets={"TOKEN": "s3cr3t-value"})

    assert view.outputs == {"result": "***\n"}


async def test_a_function_that_no_other_process_can_import_is_called_in_this_one() -> None:
    offset = 5

    @task
    def local(n: int) -> int:
        return n + offset

    @flow
    def closing():
        return local(1)

    assert (await run_flow(closing.load())).outputs == {"result": 6}

    offset = 7
    made = task(local.fn)

    @flow
    def again():
        return made(1)

    assert (await run_flow(again.load())).outputs == {"result": 8}


async def test_texts_of_all_kinds_come_through() -> None:
    strange = [
        "",
        " ",
        "x: y",
        "# no comment",
        "- no list",
        "yes",
        "null",
        "010",
        "1e3",
        "12:30",
        "a\nb\n",
        "\n",
        "  indented\n lines",
        "tab\there",
        "quote \" and '",
        "ünïcödé 🐘",
        "\x85\u2028\ufeff\x7f\x00",
        "${{ not }}",
        "{{ x }}",
        "*anchor",
        "!tag",
        "line \n trailing",
        "very " * 100,
    ]
    keys = {key: 1 for key in strange if "${{" not in key}

    @flow
    def texts(name: str = "\n#"):
        return {
            "constants": types.set(strange),
            "keys": types.set(keys),
            "joined": types.set([name, *strange]),
        }

    assert await outputs(texts) == {"constants": strange, "keys": keys, "joined": ["\n#", *strange]}


async def test_a_flow_in_yaml_calls_a_task_by_its_name() -> None:
    text = """
flow: by-name
tasks:
  add: {type: python, with: {call: added_by_name, args: {order: {id: 1, total: 2.0, day: "2026-01-05"}}}}
outputs: {day: "${{ tasks.add.output }}"}
"""

    @task
    def added_by_name(order: Order) -> dt.date:
        return order.day

    assert (await run_flow(text)).outputs == {"day": dt.date(2026, 1, 5)}


def test_the_same_flow_has_the_same_text_each_time() -> None:
    assert outer.to_yaml() == outer.to_yaml()
    assert outer.load() is outer.load()


def test_a_flow_is_found_by_its_module_or_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)

    assert load("test_python_flows.py:inner").plan.name == "inner"
    assert load("test_python_flows:outer").plan.name == "outer"
    with pytest.raises(NotFound, match="did you mean 'test_python_flows:outer'"):
        load("test_python_flows:outre")
    with pytest.raises(NotFound, match="has no @flow"):
        load("test_python_flows:fetch")
    with pytest.raises(NotFound, match="no module 'nowhere_at_all'"):
        load("nowhere_at_all:outer")


def test_a_flow_explains_and_draws_itself() -> None:
    assert "python add" in inner.explain(1)
    assert "add" in inner.graph()
    assert inner.graph("mermaid").startswith("flowchart")


def test_what_cannot_be_recorded_says_what_to_write_instead() -> None:
    def attempt(use: Any) -> str:
        @flow
        def trying(n: int):
            use(add(n))

        with pytest.raises(FlowError) as wrong:
            trying.load()
        (found,) = wrong.value.diagnostics
        assert found.code == "FB291"
        assert found.at.file.endswith("test_python_flows.py")
        return " ".join(found.hints)

    assert "when(x > 0" in attempt(lambda x: bool(x))
    assert "(a) & (b)" in attempt(lambda x: 1 < x < 3)
    assert "map(function, values)" in attempt(lambda x: list(x))
    assert "lang import len" in attempt(lambda x: len(x))
    assert "lang import text" in attempt(lambda x: f"{x}")
    assert "lang import text" in attempt(lambda x: f"a{x}")
    assert "lang import int" in attempt(lambda x: int(x))
    assert ".contains(x)" in attempt(lambda x: 1 in x)
    assert "merge" in attempt(lambda x: x.__setitem__("a", 1))
