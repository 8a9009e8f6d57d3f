"""Process groups that an engine has started: on record, so that none outlives it.

Two things see to that.  A guardian, a tiny shell that the engine tells of each
group, kills what is left the moment the engine is gone.  And the groups stand
in a file beside the store, which its engine keeps locked: whoever finds one
that is not locked ends what is still alive before it carries on the dead
engine's runs.  No journal write is needed for either.

The file has a line for each group that began (`+ group start run`) and ended
(`- group`).  It is not flushed to disk: where the machine goes down, so do the
processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from flowbuilder.tasks.child import started_at

_SUFFIX: Final = ".children"
_GUARDIAN: Final = """
trap '' HUP INT TERM
alive=' '
while read -r sign group; do
  case $sign in
    +) alive="$alive$group " ;;
    -) case $alive in *" $group "*) alive="${alive%%" $group "*} ${alive#*" $group "}" ;; esac ;;
  esac
done
for group in $alive; do kill -KILL "-$group" 2> /dev/null; done
"""
_UNKILLABLE: Final = 5.0
"""Seconds to wait for killed processes; those that hang in the kernel are left to it."""


class Orphan(msgspec.Struct, frozen=True):
    """A process group on record."""

    group: int
    started: float
    """Of its leader, as `tasks.child.started_at` tells it."""
    run_id: str


class Children:
    """The groups of one engine.

    Args:
        folder: where engines of the same store keep their files; None if the store has none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file: IO[str] | None = None
        self._path: Path | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._alive: dict[int, Orphan] = {}

    def started(self, run_id: str, group: int, started: float) -> None:
        """Put a group on record; once this returns, it will not outlive the engine.

        Raises:
            OSError: it cannot be; the caller has to end the group.
        """
        self._alive[group] = Orphan(group, started, run_id)
        try:
            self._tell_guardian(f"+ {group}\n")
            if self._folder is not None:
                self._write(f"+ {group} {started} {run_id}\n")
        except BaseException:
            self.ended(group)
            raise

    def ended(self, group: int) -> None:
        """Strike a group that is gone off the record."""
        if self._alive.pop(group, None) is None:
            return
        with contextlib.suppress(OSError):
            self._tell_guardian(f"- {group}\n")
            if self._file is not None:
                self._write(f"- {group}\n")
                if not self._alive:
                    self._file.seek(0)
                    self._file.truncate()

    def close(self) -> None:
        """End what is still alive, and the guardian."""
        end_orphans(list(self._alive.values()))  # the loop may strike some off meanwhile
        self._alive.clear()
        if self._guardian is not None:
            assert self._guardian.stdin is not None
            with contextlib.suppress(OSError):
                self._guardian.stdin.close()
            self._guardian.wait()
            self._guardian = None
        if self._file is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
            with contextlib.suppress(OSError):  # others use it
                self._path.parent.rmdir()

    def end_orphans(self) -> int:
        """End what engines of this store that are dead have left; return how many groups that were."""
        if self._folder is None:
            return 0
        count = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path != self._path:
                with contextlib.suppress(FileNotFoundError):
                    count += _end_orphans_of(path)
        return count

    def _tell_guardian(self, line: str) -> None:
        if self._guardian is None or self._guardian.poll() is not None:
            self._start_guardian()
            return  # which has been told of all there are
        assert self._guardian.stdin is not None
        self._guardian.stdin.write(line.encode())

    def _start_guardian(self) -> None:
        if self._guardian is not None and self._guardian.stdin is not None:
            with contextlib.suppress(OSError):
                self._guardian.stdin.close()
        self._guardian = subprocess.Popen(
            ("/bin/sh", "-c", _GUARDIAN),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal is not for it
            bufsize=0,
            cwd="/",
        )
        assert self._guardian.stdin is not None
        for group in self._alive:
            self._guardian.stdin.write(f"+ {group}\n".encode())

    def _write(self, line: str) -> None:
        if self._file is None:
            self._file = self._open()
        self._file.write(line)
        self._file.flush()

    def _open(self) -> IO[str]:
        """Make the file: locked before anybody can find it."""
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{os.getpid()}-{time.time_ns()}{_SUFFIX}"
        hidden = path.with_suffix(".new")
        file = hidden.open("w", encoding="ascii")
        fcntl.flock(file, fcntl.LOCK_EX)
        hidden.rename(path)
        self._path = path
        return file


def end_orphans(records: Iterable[Orphan]) -> int:
    """Kill the recorded groups that are still alive, and wait until they are gone; return how many.

    A group is ours if its leader started when the record says, or, where the
    leader is gone, if a process in it bears the run's id in its environment.
    Where there is no /proc to ask, nothing is known to be ours: there the
    guardian alone sees to it.
    """
    found = {record.group for record in records if _is_ours(record)}
    for group in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + _UNKILLABLE
    while any(_living(group) for group in found) and time.monotonic() < deadline:
        time.sleep(0.005)  # the kernel tells nobody
    return len(found)


def _end_orphans_of(path: Path) -> int:
    with path.open("r", encoding="ascii", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0  # its engine lives
        count = end_orphans(_read(file))
        path.unlink(missing_ok=True)
        return count


def _read(lines: Iterable[str]) -> Iterable[Orphan]:
    alive: dict[str, Orphan] = {}
    for line in lines:
        match line.split():
            case ["+", group, started, run_id]:
                with contextlib.suppress(ValueError):  # the last line of an engine that died writing it
                    alive[group] = Orphan(int(group), float(started), run_id)
            case ["-", group]:
                alive.pop(group, None)
    return alive.values()


def _is_ours(record: Orphan) -> bool:
    living = _living(record.group)
    started = started_at(record.group)
    if started:
        return bool(living) and started == record.started
    wanted = f"FLOWBUILDER_RUN_ID={record.run_id}".encode()
    return any(wanted in _environment(pid) for pid in living)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _living(group: int) -> list[int]:
    """Return the processes of a group that run; one that is dead and not yet reaped does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass
    return [pid for pid, its_group, state in _processes() if its_group == group and state not in "ZX"]


def _processes() -> Iterator[tuple[int, int, str]]:
    """Yield number, group and state of all processes; nothing where there is no /proc."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if not name.isdecimal():
                continue
            try:
                stat = Path(f"/proc/{name}/stat").read_text("ascii", "replace")
            except OSError:
                continue
            state, _, group = stat.rpartition(")")[2].split()[:3]
            yield int(name), int(group), state
