"""One child process: started behind a gate, read while it writes, and ended with all that it started.

A child leads a process group of its own.  It waits at a gate, a pipe, until
its group is on record with the engine's services; if the engine dies before,
the gate closes and the child leaves without having done anything.  So nothing
that a task does can escape those who end what a dead engine left behind.

The group is ended before its leader is reaped: until then its number cannot
belong to anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.params import get_text, written
from flowbuilder.tasks.references import path_of, written_hash

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

GRACE: Final = 5.0
"""Seconds between TERM and KILL."""
_LINGER: Final = 1.0
"""Seconds that what still writes may go on after the child has ended: `tee` of a `>(tee …)`, for example."""
_UNKILLABLE: Final = 5.0
"""Seconds to wait for a killed child; one that hangs in the kernel is left to it."""
_CHUNK: Final = 256 * 1024
_SECRET: Final = ("FLOWBUILDER_SECRET_", "FLOWBUILDER_ENCRYPTION_KEY")


class Child(msgspec.Struct, frozen=True):
    """What to start.

    `argv` and `files` are made when the pipes are there: they are given the
    number of the descriptor to wait at.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    gate: tuple[int, int]
    """The gate's ends for reading and writing; both are closed for the caller."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors that it inherits; they are closed for the caller."""
    stdin: bytes = b""
    on_stdout: Callable[[bytes], None] | None = None
    on_stderr: Callable[[bytes], None] | None = None
    on_result: tuple[int, Callable[[bytes], None]] | None = None
    """One more pipe to read: the end for reading, closed for the caller, and who gets what comes."""
    prepare: Callable[[int], None] | None = None
    """Called with its number before it begins: bounds what it may use."""
    opening: bytes = b"\n"
    """What is written to the gate once the child is on record."""


async def run_child(child: Child, call: Call, *, grace: float = GRACE) -> int:
    """Run a child to its end, and return its exit code; 128 + N where signal N ended it.

    When it returns or raises, the child and its whole process group are gone,
    but for what the kernel cannot end and what made a group of its own.  On
    cancellation the group gets TERM and, `grace` seconds later, KILL.  A
    handler that raises ends the child in the same way.

    Raises:
        TaskFailed: `shell.start` if it cannot be started.
    """
    running = _start(child)
    try:
        call.services.child_started(call.run_id, running.pid, started_at(running.pid))
        if child.prepare is not None:
            child.prepare(running.pid)
        running.open_gate()
        return await running.finish(grace)
    except BaseException:
        await running.end(grace)
        raise
    finally:
        if running.close():
            call.services.child_ended(running.pid)


def child_environment(call: Call) -> dict[str, str]:
    """Return the environment of a task's child: the engine's without secrets, the declared, the task's own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_SECRET)}
    env.pop("BASH_ENV", None)  # it would be run in front of the gate
    for name, value in call.env.items():
        if not name or "=" in name or "\0" in name:
            raise TaskFailed("input", f"{name!r} is no name of an environment variable")
        text = written(value, f"env.{name}")
        blob = written_hash(text)
        env[name] = text if blob is None else str(path_of(call, blob))
    env["FLOWBUILDER_RUN_ID"] = call.run_id
    env["FLOWBUILDER_TASK"] = call.task
    env["FLOWBUILDER_ATTEMPT"] = str(call.attempt)
    env["FLOWBUILDER_IDEMPOTENCY_KEY"] = call.idempotency_key
    env["FLOWBUILDER_FOLDER"] = str(call.folder)
    if call.workspace is not None:
        env["FLOWBUILDER_WORKSPACE"] = str(call.workspace)
    return env


def working_folder(call: Call, params: dict[str, Any]) -> Path:
    """Return the folder that a child starts in.

    Raises:
        TaskFailed: `input` if there is none.
    """
    cwd = get_text(params, "cwd") or "."
    try:
        if call.workspace is not None:
            call.workspace.mkdir(parents=True, exist_ok=True)
        folder = (call.workspace or call.folder) / Path(cwd).expanduser()
        if folder.is_dir():
            return folder
    except (ValueError, RuntimeError, OSError):
        pass
    raise TaskFailed("input", f"'cwd' is no folder: {cwd!r}")


def make_gate() -> tuple[int, int]:
    """Return the two ends of a pipe, for reading and for writing.

    Raises:
        TaskFailed: `shell.start` if the engine has no descriptors left.
    """
    try:
        return os.pipe()
    except OSError as error:
        raise TaskFailed("shell.start", f"no pipe can be made: {error.strerror}") from None


def data_file(content: Callable[[int], bytes]) -> int:
    """Return a descriptor of a file without a name that vanishes when it is closed.

    Args:
        content: gives what is in it, from the descriptor's number.
    """
    try:
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("flowbuilder")
        else:
            with tempfile.TemporaryFile() as nameless:
                fd = os.dup(nameless.fileno())
        with open(fd, "wb", closefd=False) as file:
            file.write(content(fd))
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError as error:
        raise TaskFailed("shell.start", f"the script cannot be written: {error.strerror}") from None
    return fd


def close_all(*fds: int) -> None:
    """Close descriptors, those too that are closed already."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def started_at(pid: int) -> float:
    """Return when a process started, in ticks that tell it from a later one of the same number; 0 if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return 0.0
    # the name in brackets may hold anything: fields are counted from its end
    return float(stat.rpartition(")")[2].split()[19])


def _start(child: Child) -> _Running:
    gate_read, gate_write = child.gate
    inherited = (*child.pass_fds, gate_read)
    result = (child.on_result[0],) if child.on_result else ()
    try:
        process = subprocess.Popen(
            child.argv,
            cwd=child.cwd,
            env=dict(child.env),
            stdin=subprocess.PIPE if child.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=inherited,
            start_new_session=True,
            bufsize=0,
        )
    except ValueError:
        close_all(*inherited, gate_write, *result)
        raise TaskFailed(
            "input", "a text holds what cannot be given to a process: NUL, or half a character"
        ) from None
    except OSError as error:
        close_all(*inherited, gate_write, *result)
        if isinstance(error, FileNotFoundError):
            raise TaskFailed(
                "shell.missing", f"there is no program '{child.argv[0]}' on this machine"
            ) from None
        raise TaskFailed("shell.start", f"'{child.argv[0]}' cannot be started: {error.strerror}") from None
    close_all(*inherited)
    return _Running(process, child)


class _Running:
    """A child that was started; all methods are called on the loop."""

    def __init__(self, process: subprocess.Popen[bytes], child: Child) -> None:
        self._process = process
        self._child = child
        self._loop = asyncio.get_running_loop()
        self._gate = child.gate[1]
        self._status: asyncio.Future[int] = self._loop.create_future()
        self._written: asyncio.Future[None] = self._loop.create_future()
        """Done when all pipes have come to their ends; fails with what a handler raised."""
        self._reading: set[int] = set()
        self._pidfd = -1
        self._stdin = memoryview(child.stdin)
        self.pid = process.pid
        self._watch()

    def open_gate(self) -> None:
        """Let the child go, and begin to read."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._read(self._process.stdout.fileno(), self._child.on_stdout)
        self._read(self._process.stderr.fileno(), self._child.on_stderr)
        if self._child.on_result is not None:
            self._read(*self._child.on_result)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._loop.add_writer(self._process.stdin.fileno(), self._write)
        with contextlib.suppress(OSError):  # it has died already
            os.write(self._gate, self._child.opening)
        close_all(self._gate)
        self._gate = -1

    async def finish(self, grace: float) -> int:
        """Wait for the end of the child and of what it writes; return the exit code."""
        await asyncio.wait((self._status, self._written), return_when=asyncio.FIRST_COMPLETED)
        if not self._status.done():
            self._written.result()
            await asyncio.wait((self._status,))
        if not self._written.done():
            await asyncio.wait((self._written,), timeout=_LINGER)
        if not self._written.done():
            self._signal(signal.SIGTERM)
            await asyncio.wait((self._written,), timeout=grace)
        if self._written.done():
            self._written.result()
        return self._status.result()

    async def end(self, grace: float) -> None:
        """End the group: TERM, then KILL.  Being cancelled meanwhile means KILL at once."""
        if self._status.done():
            return  # close() kills what is left of the group
        try:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            await asyncio.wait((self._status,), timeout=grace)
        finally:
            if not self._status.done():
                self._signal(signal.SIGKILL)
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait((self._status,), timeout=_UNKILLABLE)

    def close(self) -> bool:
        """Kill what is left of the group, reap the child, close all; tell whether it is gone."""
        self._signal(signal.SIGKILL)
        for fd in tuple(self._reading):
            self._loop.remove_reader(fd)
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            close_all(self._pidfd)
        if self._process.stdin is not None:
            self._stop_writing()
        if self._child.on_result is not None:
            close_all(self._child.on_result[0])
        if self._gate >= 0:
            close_all(self._gate)
        gone = self._status.done() or self._process.poll() is not None
        if gone:
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        for future in (self._status, self._written):
            if future.done() and not future.cancelled():
                future.exception()  # looked at
            future.cancel()
        return gone

    # -- pipes

    def _read(self, fd: int, handler: Callable[[bytes], None] | None) -> None:
        os.set_blocking(fd, False)
        self._reading.add(fd)
        self._loop.add_reader(fd, self._readable, fd, handler)

    def _readable(self, fd: int, handler: Callable[[bytes], None] | None) -> None:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            if data and handler is not None:
                handler(data)
        except Exception as error:
            self._fail(error)
            return
        if not data:
            self._loop.remove_reader(fd)
            self._reading.discard(fd)
            if not self._reading and not self._written.done():
                self._written.set_result(None)

    def _fail(self, error: Exception) -> None:
        """Stop reading: the child blocks, or fails to write, until it is ended."""
        for fd in tuple(self._reading):
            self._loop.remove_reader(fd)
        self._reading.clear()
        if not self._written.done():
            self._written.set_exception(error)

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            self._stdin = self._stdin[os.write(self._process.stdin.fileno(), self._stdin[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:  # it does not want any more
            self._stdin = self._stdin[:0]
        if not self._stdin:
            self._stop_writing()

    def _stop_writing(self) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            self._loop.remove_writer(stdin.fileno())
            stdin.close()

    # -- its end

    def _watch(self) -> None:
        """Have `_status` set when the child ends; it is not reaped by that."""
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            threading.Thread(target=self._wait_on_thread, daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._ended)

    def _wait_on_thread(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended)

    def _ended(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
        if self._status.done():
            return
        try:
            info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:  # somebody else has reaped it
            self._status.set_result(255)
            return
        if info is not None:
            exited = info.si_code == os.CLD_EXITED
            self._status.set_result(info.si_status if exited else 128 + info.si_status)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
