"""What a task type is, and what it gets when it is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from flowbuilder.core.plan import FlowPlan
from flowbuilder.core.urgency import NORMAL, Urgency

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from flowbuilder.core.catalogue import TaskSpec
    from flowbuilder.core.clock import Clock
    from flowbuilder.core.connections import Connection


class Services(Protocol):
    """What the engine lends to task types for as long as it runs."""

    clock: Clock

    async def http(self) -> Any:
        """Return the engine's one pooled `aiohttp.ClientSession`."""
        ...

    def child_started(self, run_id: str, pid: int, started: float) -> None:
        """Record a process group, so that a later engine can end it if this one dies."""
        ...

    def child_ended(self, pid: int) -> None:
        """Forget a process group that is gone."""
        ...

    def slot(self, kind: Literal["shells", "http"], urgency: Urgency) -> AbstractAsyncContextManager[object]:
        """Hold one of the places for child processes, or for HTTP calls, while inside; wait for one first."""
        ...

    async def emit(self, id: str, name: str, payload: Any, source: str, *, sensitive: bool = False) -> None:
        """Emit an event; returns when it is on disk.  An id that was emitted before is not emitted again.

        The payload of a sensitive one is encrypted until somebody takes it who waits for it.
        """
        ...

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        """Run a blocking function on the engine's threads."""
        ...

    def project(self, folder: Path) -> Path:
        """Return the folder of the project around a flow's."""
        ...

    def facts(self) -> Any:
        """Return what the store keeps beyond runs (`storage.api.Facts`); its calls block."""
        ...

    def blobs(self) -> Any:
        """Return the store's large values (`storage.api.Blobs`); its calls block."""
        ...

    def seal(self, place: str, encoded: bytes) -> bytes:
        """Return an encoded value as it may be kept beyond its run: encrypted, for this place alone."""
        ...

    def unseal(self, place: str, encoded: bytes) -> bytes:
        """Return the encoded value that was encrypted for a place."""
        ...

    def put_sealed(self, path: Path) -> tuple[str, int]:
        """Keep what is in a file among the large values, encrypted; return its name and its size; blocks."""
        ...

    def opened_file(self, call: Call, sealed: Path) -> Path:
        """Return a file with what is encrypted in another, there as long as the call's run is; blocks."""
        ...

    def connection(self, call: Call, name: str) -> Connection:
        """Return the connection that a call's flow means by a name or a URL, with its secrets filled in.

        Raises:
            TaskFailed: `connection` if there is none, or it is wrong.
        """
        ...

    async def lend(self, key: Hashable, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `make` made for this key, once for all who ask; its `close` is awaited at the end.

        For what outlives a call: a pool of connections.
        """
        ...


class Call(msgspec.Struct):
    """One attempt at a task: all that a task type may know."""

    params: Any
    """`with`, evaluated; a copy that the task may change."""
    run_id: str
    task: str
    """The task's path in its run: `enrich[3]`, `build.compile`."""
    attempt: int
    idempotency_key: str
    folder: Path
    """The flow file's folder: relative paths and `cwd` start there."""
    env: Mapping[str, str]
    """What the flow and the task declare, values evaluated; never the process's environment."""
    secrets: tuple[str, ...]
    """Values to be masked in all that comes back or is logged; never to be shown."""
    log: Callable[[str, str, Any], None]
    """`log(level, message, data)`; levels: debug, info, warning, error."""
    services: Services
    deadline: float | None = None
    """On `services.clock.monotonic()`; the engine cancels the attempt then."""
    urgency: Urgency = NORMAL
    """Which of those who wait for a place goes first."""
    plan: FlowPlan | None = None
    """The flow's."""
    profile: str | None = None
    """The name of the profile that the run was started with."""
    sensitive: bool = False
    """What it yields is encrypted wherever it is kept."""
    workspace: Path | None = None
    """The folder that the tasks of a group around it share; whoever uses it first makes it."""

    @property
    def namespace(self) -> str:
        """Whose kept values the flow means: its namespace's, else its own."""
        assert self.plan is not None
        return self.plan.namespace or self.plan.name


class Work(msgspec.Struct, frozen=True):
    """A Python function to be placed by the engine (inline, thread, process), or awaited if async."""

    function: Callable[..., Any]
    """Or an `Unloaded`, which is callable too."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    name: str
    """`module:function`, by which a process finds it again."""
    call: Call
    """The attempt that it belongs to: its log gets the traceback of what the function raises."""

    @classmethod
    def of(cls, call: Call, function: Callable[..., Any], *args: Any, **words: Any) -> Work:
        """Return what has a function called with these arguments, for a task type's `work`.

        Args:
            call: the attempt.
            function: of a module, so that another process finds it too; sync or async.
            args: plain values, as all arguments.
            words: by name.
        """
        return cls(function, args, words, f"{function.__module__}:{function.__qualname__}", call)


class Unloaded(Protocol):
    """What may stand in `Work.function` for a function that is not imported yet.

    The engine loads it on a thread, since an import runs the author's code,
    and then places what it has got.
    """

    def load(self) -> Callable[..., Any]:
        """Return the function; may block, and raise `TaskFailed`."""
        ...


class TaskType(Protocol):
    """A task type.  Cancellation must end all that the call began, and raise on.

    `run` returns the output, and raises `TaskFailed` with a kind when it
    cannot do what it was asked.
    """

    spec: TaskSpec

    def run(self, call: Call) -> Awaitable[Any]:
        """Do one attempt."""
        ...


class Placed(Protocol):
    """A task type whose work is a Python function: the engine chooses where it runs."""

    spec: TaskSpec

    def work(self, call: Call) -> Work:
        """Return the function and its arguments."""
        ...
