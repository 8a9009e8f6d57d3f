"""What a script may use: CPU, memory, open files, time, and whether it has a network."""

from __future__ import annotations

import functools
import os
import resource
import shutil
import subprocess
import sys
from typing import Any, Final

import msgspec

from flowbuilder.core.durations import parse_duration, parse_size
from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.params import refuse

_UNREACHABLE: Final = (
    "network is unreachable",
    "temporary failure in name resolution",
    "enetunreach",
    "eai_again",
    "could not resolve host",
)
_NO_MEMORY: Final = ("memoryerror", "cannot allocate", "out of memory", "memory exhausted", "enomem")
_NO_FILES: Final = ("too many open files", "emfile")


class Limits(msgspec.Struct, frozen=True):
    """Bounds of a script's process, and of each process that it starts."""

    cpu: float | None = None
    """Seconds."""
    memory: int | None = None
    """Bytes of address space."""
    time: float | None = None
    """Seconds by the clock."""
    open_files: int | None = None

    def apply(self, pid: int, *, heap: bool) -> None:
        """Bound a process that has not begun yet; what it starts inherits it.

        Args:
            pid: whose.
            heap: the language bounds its memory itself: it reserves more than it uses.
        """
        if not hasattr(resource, "prlimit"):
            return  # only Linux lets others be bounded
        wanted: list[tuple[int, tuple[int, int]]] = []
        if self.cpu is not None:
            seconds = max(1, -(-int(self.cpu * 1000) // 1000))
            wanted.append((resource.RLIMIT_CPU, (seconds, seconds + 1)))
        if self.memory is not None and not heap:
            wanted.append((resource.RLIMIT_AS, (self.memory, self.memory)))
        if self.open_files is not None:
            wanted.append((resource.RLIMIT_NOFILE, (self.open_files, self.open_files)))
        for number, bounds in wanted:
            try:
                resource.prlimit(pid, number, bounds)
            except ProcessLookupError:
                return  # it has died already, and the engine will see it
            except (ValueError, OSError) as error:
                raise TaskFailed("input", f"'limits' cannot be set: {error}") from None


def limits_of(params: dict[str, Any]) -> Limits:
    """Return the limits that a task asks for."""
    given = params.get("limits")
    if given is None:
        return Limits()
    if not isinstance(given, dict):
        refuse("limits", "a mapping", given)
    try:
        return Limits(
            cpu=_duration(given.get("cpu")),
            memory=_size(given.get("memory")),
            time=_duration(given.get("time")),
            open_files=_count(given.get("open_files")),
        )
    except ValueError as error:
        raise TaskFailed("input", f"'limits': {error}") from None


def _duration(value: Any) -> float | None:
    if value is None:
        return None
    if hasattr(value, "total_seconds"):
        return float(value.total_seconds())
    if not isinstance(value, str):
        raise ValueError(f"a time is written with its unit, such as '10s', not {value!r:.40}")
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError("a time must be longer than nothing")
    return seconds


def _size(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"a size is written with its unit, such as '512MB', not {value!r:.40}")
    size = parse_size(value)
    if size < 1024 * 1024:
        raise ValueError("no process can live on less than 1MiB of memory")
    return size


def _count(value: Any) -> int | None:
    if value is None or (type(value) is int and value >= 8):
        return value
    raise ValueError("'open_files' is a whole number, 8 at least")


# -- the network --------------------------------------------------------------------


@functools.cache
def without_network() -> tuple[str, ...]:
    """Return what a command is put behind to have no network; empty where this machine cannot do that.

    A network namespace of its own, with nothing in it: not even this machine
    itself can be reached.  Without the right to make one, a user namespace
    gives it, where the kernel lets everybody have those.
    """
    program = shutil.which("unshare")
    if sys.platform != "linux" or program is None:
        return ()
    ways: list[tuple[str, ...]] = [(program, "--net", "--")] if os.geteuid() == 0 else []
    ways += [
        (program, "--user", "--map-current-user", "--net", "--"),
        (program, "--map-root-user", "--net", "--"),
    ]
    for way in ways:
        try:
            done = subprocess.run([*way, "true"], capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return way
    return ()


# -- what went wrong -----------------------------------------------------------------


def explained(error: TaskFailed, limits: Limits, *, network: bool) -> TaskFailed:
    """Return a failure as what it is: a limit that was reached, or a network that is not there."""
    code = error.data.get("exit_code") if isinstance(error.data, dict) else None
    text = f"{error.kind} {error.message}".lower()
    if limits.cpu is not None and code in (128 + 24, 128 + 9) and error.kind in ("shell.exit", "script.exit"):
        return TaskFailed(
            "resource.cpu",
            f"the script used more than {limits.cpu:g} s of CPU: raise `limits.cpu`, or have it do less",
            error.data,
        )
    if limits.memory is not None and (
        any(word in text for word in _NO_MEMORY) or code in (128 + 6, 128 + 11)
    ):
        return TaskFailed(
            "resource.memory",
            f"the script used more than {limits.memory:,} bytes of memory: raise `limits.memory`, or have it keep less",
            error.data,
        )
    if limits.open_files is not None and any(word in text for word in _NO_FILES):
        return TaskFailed(
            "resource.files",
            f"the script had more than {limits.open_files} files open: raise `limits.open_files`, or have it close some",
            error.data,
        )
    if not network and any(word in text for word in _UNREACHABLE):
        message = f"{error.message} (a script has no network unless it says `network: true`)"
        return TaskFailed(error.kind, message, error.data, retry_after=error.retry_after)
    return error
