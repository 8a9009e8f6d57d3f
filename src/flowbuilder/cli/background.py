"""The background engine: what `--detach` and `--timeout` leave a run to.

A process of its own session, started with the request on its standard input.
It answers on its standard output, once, when the run's start is on disk (or
why it could not be started), and exits when it has nothing left to do.  What
it has to say later goes to `engine.log` beside the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.cli.terminal import lead_nowhere
from flowbuilder.core import errors
from flowbuilder.storage.folder import make_folder

if TYPE_CHECKING:
    from flowbuilder.cli.forking import Fork
    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run

LOG = "engine.log"


class Request(msgspec.Struct):
    """What the background engine is to start."""

    file: str
    store: str
    inputs: dict[str, Any]
    key: str | None
    priority: int | None
    labels: dict[str, str] = {}
    profile: str | None = None
    fork: dict[str, Any] | None = None
    """A `forking.Fork` to start, in place of the file."""


class Answer(msgspec.Struct):
    """What came of a request: the run, or the error that kept it from starting."""

    run_id: str = ""
    error: str = ""
    """The class of `core.errors`."""
    arguments: list[Any] = []


def start_in_background(workspace: Workspace, request: Request) -> str:
    """Start a run in a new background engine and return its id: its acceptance is on disk.

    Raises:
        FlowBuilderError: whatever kept the engine from starting it.
    """
    make_folder(workspace.store.parent)
    with open(workspace.store.parent / LOG, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "flowbuilder.cli.background"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it died: the missing answer says so
        child.stdin.write(msgspec.json.encode(request))
        child.stdin.close()
    line = child.stdout.readline()
    if not line:
        raise errors.StoreError(
            "the background engine ended before it could start the run",
            f"see {workspace.store.parent / LOG}",
        )
    return _run_id(msgspec.json.decode(line, type=Answer))


def _run_id(answer: Answer) -> str:
    """Return the run's id, or raise what the engine raised."""
    if answer.run_id:
        return answer.run_id
    kind = getattr(errors, answer.error, None)
    if isinstance(kind, type) and issubclass(kind, errors.FlowBuilderError):
        raise kind(*answer.arguments)
    raise errors.FlowBuilderError(*answer.arguments)


def _answer(answer: Answer) -> None:
    """Answer, once, and give up standard output, which the one who asked waits for."""
    stream = sys.__stdout__  # the engine's own output is not for authors' code, and has been put aside
    assert stream is not None
    stream.buffer.write(msgspec.json.encode(answer) + b"\n")
    stream.flush()
    lead_nowhere(stream)


def fork_in_background(workspace: Workspace, fork: Fork) -> str:
    """Start a run from another in a new background engine and return its id: its acceptance is on disk.

    Raises:
        FlowBuilderError: whatever kept the engine from starting it.
    """
    near = str(workspace.project / "flow")
    request = Request(near, str(workspace.store), {}, None, None, fork=msgspec.to_builtins(fork))
    return start_in_background(workspace, request)


def _serve_fork(wanted: dict[str, Any], workspace: Workspace) -> None:
    from flowbuilder.cli.driving import drive  # start-up time: see `_serve`
    from flowbuilder.cli.forking import Fork

    fork = msgspec.convert(wanted, Fork)

    async def begin(engine: Engine) -> list[Run]:
        run = await fork.start(engine)
        _answer(Answer(run.id))
        return [run]

    drive(workspace, begin, shown=False)


def _serve(request: Request, workspace: Workspace) -> None:
    from flowbuilder.cli.driving import drive  # start-up time: the one who asks imports this module too
    from flowbuilder.sdk.load import load

    if request.fork is not None:
        _serve_fork(request.fork, workspace)
        return
    flow = load(Path(request.file), workspace.config.for_compiler())

    async def begin(engine: Engine) -> list[Run]:
        run = await engine.start(
            flow,
            request.inputs,
            key=request.key,
            priority=request.priority,
            labels=request.labels or None,
            profile=request.profile,
        )
        _answer(Answer(run.id))
        return [run]

    drive(workspace, begin, shown=False)


def main() -> int:
    """Serve the request on standard input."""
    from flowbuilder.cli.workspace import workspace_at  # start-up time: see `_serve`

    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    try:
        workspace = workspace_at(Path(request.file).parent, request.store)
        _serve(request, workspace)
    except errors.FlowBuilderError as error:
        _answer(Answer(error=type(error).__name__, arguments=_plain(error.args)))
        return 1
    return 0


def _plain(arguments: tuple[Any, ...]) -> list[Any]:
    """Return an error's arguments as JSON can carry them; the rest as text."""
    try:
        return list(msgspec.json.decode(msgspec.json.encode(arguments)))
    except (TypeError, msgspec.EncodeError):
        return [str(argument) for argument in arguments]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(main())
