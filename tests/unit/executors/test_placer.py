import asyncio
import threading
import time
from typing import Any

import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.runtime.executors import placer as placing
from flowbuilder.runtime.executors.placer import Placer
from flowbuilder.tasks.api import Work


async def place(placer: Placer, work: Work, executor: Any = "auto", timeout: float | None = None) -> Any:
    async with asyncio.timeout(30):
        return await placer.place(work, executor=executor, timeout=timeout, call=work.call)


async def teach(placer: Placer, work: Work) -> None:
    """Call quick work until it runs in place."""
    async with asyncio.timeout(30):
        while not placer.try_inline(work)[0]:
            await place(placer, work)


async def somehow(placer: Placer, work: Work) -> Any:
    """Do what the engine does."""
    done, value = placer.try_inline(work)
    return value if done else await place(placer, work)


def where() -> str:
    return threading.current_thread().name


def test_the_bounds_are_those_of_the_design() -> None:
    assert (placing.QUICK, placing.QUICK_CALLS, placing.BLOCKING) == (200e-6, 20, 50e-3)


async def test_a_function_runs_on_a_thread_until_it_is_known_to_be_quick(
    placer: Placer, make_work: Any
) -> None:
    work = make_work(where)
    assert placer.try_inline(work) == (False, None)
    assert (await place(placer, work)).startswith("flowbuilder-")
    await teach(placer, work)
    assert placer.try_inline(work) == (True, threading.main_thread().name)


async def test_twenty_quick_calls_in_a_row_are_needed(
    placer: Placer, make_work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = iter([1e-6] * 19 + [1e-3] + [1e-6] * 20)
    clock = [0.0]

    def function() -> None:
        clock[0] += next(taken)

    monkeypatch.setattr(placing.time, "perf_counter", lambda: clock[0])
    work = make_work(function)
    for _ in range(39):
        await place(placer, work)
        assert placer.try_inline(work) == (False, None)
    await place(placer, work)
    taken = iter([1e-6])
    assert placer.try_inline(work) == (True, None)


@pytest.mark.parametrize(("slow", "calls", "comes_back"), [(0.051, 1, False), (0.001, 20, True)])
async def test_a_function_that_holds_the_loop_leaves_it(
    placer: Placer,
    make_work: Any,
    monkeypatch: pytest.MonkeyPatch,
    slow: float,
    calls: int,
    comes_back: bool,
) -> None:
    clock, takes = [0.0], [1e-6]

    def function() -> None:
        clock[0] += takes[0]

    monkeypatch.setattr(placing.time, "perf_counter", lambda: clock[0])
    work = make_work(function)
    await teach(placer, work)
    takes[0] = slow
    for _ in range(calls):
        assert placer.try_inline(work) == (True, None)
    assert placer.try_inline(work) == (False, None)
    takes[0] = 1e-6
    for _ in range(40):
        await place(placer, work)
    assert placer.try_inline(work)[0] is comes_back


async def test_an_async_function_is_awaited_on_the_loop(placer: Placer, make_work: Any) -> None:
    async def function(x: int, *, y: int) -> tuple[str, int]:
        await asyncio.sleep(0)
        return where(), x + y

    work = make_work(function, 1, y=2)
    for executor in ("auto", "inline", "thread"):
        assert await place(placer, work, executor) == (threading.main_thread().name, 3)
    assert await place(placer, work, timeout=5.0) == (threading.main_thread().name, 3)
    assert placer.try_inline(work) == (False, None)


async def test_a_function_that_returns_a_coroutine_has_it_awaited_wherever_it_runs(
    placer: Placer, make_work: Any
) -> None:
    async def inner(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    lazily = [False]

    def function(x: int) -> Any:
        return inner(x) if lazily[0] else x

    work = make_work(function, 1)
    await teach(placer, work)
    lazily[0] = True
    assert placer.try_inline(work) == (False, None)
    assert await place(placer, work) == 2
    assert await place(placer, make_work(lambda: inner(5))) == 6


async def test_what_the_flow_says_about_the_executor_holds(placer: Placer, make_work: Any) -> None:
    assert await place(placer, make_work(where), "inline") == threading.main_thread().name
    assert (await place(placer, make_work(where), "thread")).startswith("flowbuilder-")
    assert (await place(placer, make_work(where), "thread", timeout=5)).startswith("flowbuilder-")
    with pytest.raises(TaskFailed, match="cluster"):
        await place(placer, make_work(where), "worker")


@pytest.mark.parametrize("learned", [False, True], ids=["thread", "inline"])
async def test_what_a_function_raises_is_the_tasks_error_and_its_traceback_is_logged(
    placer: Placer, make_work: Any, logged: list[Any], learned: bool
) -> None:
    class Odd(ValueError):
        def __str__(self) -> str:
            raise RuntimeError

    raised: list[BaseException] = []

    def function() -> None:
        if raised:
            raise raised[0]

    work = make_work(function)
    if learned:
        await teach(placer, work)
    for error, kind in [
        (KeyError("k"), "python.KeyError"),
        (SystemExit(3), "python.SystemExit"),
        (StopIteration(), "python.StopIteration"),
        (Odd(), "python.Odd"),
        (TaskFailed("mine", "m", 1), "mine"),
    ]:
        raised[:] = [error]
        logged.clear()
        with pytest.raises(TaskFailed) as caught:
            await somehow(placer, work)
        assert caught.value.kind == kind
        if kind == "python.KeyError":
            [(level, text, _)] = logged
            assert level == "error"
            assert "in function" in text
            assert text.count("File ") == 1
        if kind == "mine":
            assert logged == []


async def test_a_thread_that_was_given_up_keeps_the_next_attempt_waiting(
    placer: Placer, make_work: Any
) -> None:
    begun, go, running = threading.Event(), threading.Event(), []

    def function() -> int:
        running.append(1)
        begun.set()
        assert len(running) == 1
        assert go.wait(20)
        running.pop()
        return 7

    work = make_work(function)
    first = asyncio.create_task(place(placer, work, "thread"))
    assert await asyncio.to_thread(begun.wait, 20)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(place(placer, work, "thread"))
    other = await place(placer, make_work(where, task="other"), "thread")
    assert other.startswith("flowbuilder-")
    assert not second.done()
    go.set()
    assert await second == 7


async def test_a_function_that_has_not_begun_is_taken_back(placer: Placer, make_work: Any) -> None:
    go, calls = threading.Event(), []
    blocking = [
        asyncio.create_task(place(placer, make_work(go.wait, 20, task=f"b{i}"), "thread")) for i in (1, 2)
    ]
    work = make_work(lambda: calls.append(1))
    waiting = asyncio.create_task(place(placer, work, "thread"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    assert await asyncio.gather(*blocking) == [True, True]
    await place(placer, work, "thread")
    assert calls == [1]


async def test_what_is_not_imported_yet_is_loaded_on_a_thread(placer: Placer, make_work: Any) -> None:
    seen = []

    class Unloaded:
        def load(self) -> Any:
            seen.append(where())
            return asyncio.sleep

        def __call__(self, *args: Any) -> Any:
            raise AssertionError

    assert await place(placer, make_work(Unloaded(), 0, "done"), timeout=5.0) == "done"
    assert seen[0].startswith("flowbuilder-")


async def test_a_callable_that_cannot_be_hashed_works_too(placer: Placer, make_work: Any) -> None:
    class Callable(list[int]):
        def __call__(self) -> int:
            return 3

    work = make_work(Callable())
    for _ in range(25):
        assert placer.try_inline(work) == (False, None)
        assert await place(placer, work) == 3


async def test_threads_that_hang_do_not_hold_up_the_end(
    placer: Placer, services: Any, make_work: Any
) -> None:
    hanging = asyncio.create_task(place(placer, make_work(time.sleep, 3600), "thread"))
    await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    async with asyncio.timeout(10):
        await services.close()
