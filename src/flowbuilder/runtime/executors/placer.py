"""Chooses where a Python function runs: on the loop, on a thread, in a process.

`auto` learns: a function runs on threads first; after twenty calls in a row
that took under 200 µs each it runs on the loop, in place.  Once it has held
the loop for 50 ms it goes back to threads for good.  A function with a time
limit runs in a process, for a thread cannot be stopped; an async function is
awaited on the loop, wherever it was to run but in a process.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.plugins.registry import made
from flowbuilder.runtime.executors.places import Places
from flowbuilder.runtime.executors.processes import Processes
from flowbuilder.runtime.executors.raised import CAUGHT, as_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from flowbuilder.core.policies import Placement
    from flowbuilder.runtime.config import Config
    from flowbuilder.runtime.services import EngineServices
    from flowbuilder.tasks.api import Call, Work

QUICK: Final = 200e-6
"""Seconds below which a call is worth less than the way to a thread and back."""
QUICK_CALLS: Final = 20
BLOCKING: Final = 50e-3
"""Seconds for which a call may hold the loop, once."""

OWN: Final = frozenset({"auto", "inline", "thread", "process", "worker"})
"""Executors that come with the engine."""

_NOT_INLINE: Final = (False, None)


class _Learned:
    """What is known of a function."""

    __slots__ = ("forever", "is_async", "quick", "slow")

    def __init__(self, function: Callable[..., Any]) -> None:
        unwrapped = inspect.unwrap(function)
        self.is_async = inspect.iscoroutinefunction(unwrapped) or inspect.iscoroutinefunction(
            getattr(unwrapped, "__call__", None)  # noqa: B004 - an object whose __call__ is async
        )
        self.quick = 0
        """Quick calls in a row, on threads."""
        self.slow = 0
        """Calls in a row that were not quick, on the loop."""
        self.forever = self.is_async
        """Whether it never runs in place."""


class Placer:
    """Places the work of an engine.

    Args:
        services: whose threads it uses.
        config: how many threads and processes there are.
    """

    def __init__(self, services: EngineServices, config: Config) -> None:
        self._threads = services.threads
        self._processes = Processes(config.executors.process_count())
        self._process_places = Places(config.executors.process_count(), services.clock.monotonic)
        self._learned: dict[Callable[..., Any], _Learned] = {}
        self._inline: dict[Callable[..., Any], _Learned] = {}
        """Those that run in place; a part of `_learned`."""
        self._begun: dict[int, Any] = {}
        """Coroutines that a function which runs in place has returned, by the work's id, until `place` awaits them."""
        self._abandoned: dict[tuple[str, str], asyncio.Future[Any]] = {}
        """By run and task: functions on threads whose attempts have ended without them."""

    def try_inline(self, work: Work, *, known_quick: bool = False) -> tuple[bool, Any]:
        """Call the function in place if that is known not to take long; tell whether that was done.

        If not, call `place` with the same work.

        Args:
            work: what the task type returned.
            known_quick: calls in earlier runs were; a function that this engine has seen no call of is
                then called in place at once.

        Raises:
            TaskFailed: what the function raised.
        """
        # hot: benchmarks/chains.py; this is on the way of every quick Python task
        function = work.function
        try:
            learned = self._inline.get(function)
        except TypeError:  # a callable that cannot be hashed
            return _NOT_INLINE
        if learned is None:
            if not known_quick or function in self._learned or hasattr(function, "load"):
                return _NOT_INLINE
            learned = self._about(function)
            if learned.is_async:
                return _NOT_INLINE
            self._inline[function] = learned
        started = time.perf_counter()
        try:
            value = function(*work.args, **work.kwargs)
        except CAUGHT as error:
            self._after_inline(function, learned, time.perf_counter() - started)
            raise as_failure(error, work.call, function) from error
        taken = time.perf_counter() - started
        if taken > QUICK or learned.slow:
            self._after_inline(function, learned, taken)
        if type(value) is CoroutineType:
            self._begun[id(work)] = value
            return _NOT_INLINE
        return True, value

    def call_inline(self, work: Work) -> tuple[bool, Any]:
        """Call a function in place because its author says so; tell whether that was done.

        Not done are async functions and those that are not loaded yet: call
        `place` with the same work.

        Raises:
            TaskFailed: what the function raised.
        """
        function = work.function
        if self._about(function).is_async or hasattr(function, "load"):
            return _NOT_INLINE
        try:
            value = function(*work.args, **work.kwargs)
        except CAUGHT as error:
            raise as_failure(error, work.call, function) from error
        if type(value) is CoroutineType:
            self._begun[id(work)] = value
            return _NOT_INLINE
        return True, value

    def known_async(self, work: Work) -> Coroutine[Any, Any, Any] | None:
        """Return what awaits a function that is known to be async; None for any other: call `place`.

        Raises, when awaited:
            TaskFailed: what the function raised.
        """
        # hot: benchmarks/async_tasks.py; a step less than `place`
        try:
            learned = self._learned.get(work.function)
        except TypeError:
            return None
        if learned is None or not learned.is_async:
            return None
        return self._on_loop(work.function, work)

    async def place(self, work: Work, *, executor: Placement, timeout: float | None, call: Call) -> Any:
        """Run the work where it belongs, and return what the function returns.

        On cancellation an async function is cancelled, a process is ended,
        and a thread is abandoned: it keeps its place in the pool until the
        function ends, and no other attempt at the same task begins before.

        Args:
            work: what the task type returned.
            executor: what the flow says.
            timeout: seconds that the engine grants the attempt, if they are bounded; it does the timing.
            call: the attempt.

        Raises:
            TaskFailed: what the function raised; `executor.crashed` if its process died.
        """
        function = work.function
        if self._begun and (begun := self._begun.pop(id(work), None)) is not None:
            return await self._awaited(begun, work)
        if (load := getattr(function, "load", None)) is not None:
            function = await self._loaded(load, call)
        learned = self._about(function)
        if executor == "worker":
            raise TaskFailed("input", "'executor: worker' needs a cluster, which this release has not")
        if executor not in OWN:
            return await self._plugged(executor, function, work)
        here_only = ":" not in work.name
        if here_only and executor == "process":
            raise TaskFailed(
                "input",
                f"'{work.name}' is known to this process only, and no other can run it: put the function into a "
                "module, not inside of another function or a notebook, or leave `executor` out",
            )
        if executor == "process" or (
            timeout is not None and executor == "auto" and not learned.is_async and not here_only
        ):
            async with self._process_places.hold(call.urgency):
                return await self._processes.run(work)
        if learned.is_async or executor == "inline":
            return await self._on_loop(function, work)
        return await self._on_thread(function, learned, work)

    async def _plugged(self, name: str, function: Callable[..., Any], work: Work) -> Any:
        """Have a plug-in's executor run a function; its own failures are the attempt's."""
        executor = made("executors", name, work.call.folder)
        if executor is None:
            raise TaskFailed(
                "input", f"there is no executor '{name}': the plug-in that adds it is not installed"
            )
        try:
            return await executor.run(msgspec.structs.replace(work, function=function))
        except CAUGHT as error:
            raise as_failure(error, work.call, function) from error

    async def close(self) -> None:
        """End all processes; threads end with what they are doing."""
        await self._processes.close()

    def _about(self, function: Callable[..., Any]) -> _Learned:
        try:
            learned = self._learned.get(function)
            if learned is None:
                learned = self._learned[function] = _Learned(function)
            return learned
        except TypeError:  # a callable that cannot be hashed: nothing is learned of it
            return _Learned(function)

    async def _loaded(self, load: Callable[[], Any], call: Call) -> Callable[..., Any]:
        try:
            return await self._threads.run(load)  # type: ignore[no-any-return]
        except CAUGHT as error:
            raise as_failure(error, call) from error

    async def _on_loop(self, function: Callable[..., Any], work: Work) -> Any:
        try:
            value = function(*work.args, **work.kwargs)
            if type(value) is CoroutineType or inspect.isawaitable(value):
                return await value
            return value
        except CAUGHT as error:
            raise as_failure(error, work.call, function) from error

    async def _awaited(self, value: Any, work: Work) -> Any:
        try:
            return await value
        except CAUGHT as error:
            raise as_failure(error, work.call, work.function) from error

    async def _on_thread(self, function: Callable[..., Any], learned: _Learned, work: Work) -> Any:
        key = (work.call.run_id, work.call.task)
        while (before := self._abandoned.get(key)) is not None:
            await asyncio.wait((before,))

        def timed() -> tuple[float, Any, BaseException | None]:
            started = time.perf_counter()
            value, raised = None, None
            try:
                value = function(*work.args, **work.kwargs)
            except CAUGHT as error:
                raised = error
            return time.perf_counter() - started, value, raised

        job = self._threads.start(timed, work.call.urgency)
        try:
            taken, value, error = await asyncio.shield(job.future)
        except asyncio.CancelledError:
            if not job.take_back():
                self._abandon(key, job.future)
            raise
        self._after_thread(function, learned, taken)
        if error is not None:
            raise as_failure(error, work.call, function) from error
        if inspect.isawaitable(value):
            learned.forever = True
            return await self._awaited(value, work)
        return value

    def _abandon(self, key: tuple[str, str], future: asyncio.Future[Any]) -> None:
        def ended(_: asyncio.Future[Any]) -> None:
            if not future.cancelled():
                future.exception()  # looked at, so that nobody reports it as forgotten
            if self._abandoned.get(key) is future:
                del self._abandoned[key]

        self._abandoned[key] = future
        future.add_done_callback(ended)

    def _after_thread(self, function: Callable[..., Any], learned: _Learned, taken: float) -> None:
        learned.quick = learned.quick + 1 if taken < QUICK else 0
        if learned.quick >= QUICK_CALLS and not learned.forever and function in self._learned:
            self._inline[function] = learned

    def _after_inline(self, function: Callable[..., Any], learned: _Learned, taken: float) -> None:
        """Send a function back to threads: for good if it blocked, to learn anew if it is quick no longer."""
        learned.slow = learned.slow + 1 if taken > QUICK else 0
        learned.forever = learned.forever or taken > BLOCKING
        if learned.forever or learned.slow >= QUICK_CALLS:
            self._inline.pop(function, None)
            learned.quick = learned.slow = 0
