"""Locks on files that die with the process that holds them."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int, *, exclusive: bool, wait: bool) -> bool:
        """Lock an open file; returns whether it did."""
        del exclusive  # Windows knows no shared locks here
        try:
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(handle: int) -> None:
        """Give a lock up."""
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(handle: int, *, exclusive: bool, wait: bool) -> bool:
        """Lock an open file; returns whether it did."""
        how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(handle, how)
        except BlockingIOError:
            return False
        return True

    def unlock(handle: int) -> None:
        """Give a lock up."""
        fcntl.flock(handle, fcntl.LOCK_UN)


_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


class Turnstile:
    """A file that one process at a time passes; those that wait go in the order they came."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, _FLAGS, 0o644)

    def enter(self) -> None:
        """Wait until nobody is within, and go in."""
        try_lock(self._handle, exclusive=True, wait=True)

    def leave(self) -> None:
        """Let the next one in."""
        unlock(self._handle)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


@contextlib.contextmanager
def lock_file(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock on a file, made where it is missing; waits for it."""
    handle = os.open(path, _FLAGS, 0o644)
    try:
        try_lock(handle, exclusive=exclusive, wait=True)
        yield
    finally:
        os.close(handle)


class Presence:
    """A file that is locked for as long as this process lives and `leave` has not been called.

    The lock belongs to the open file: a child that was forked closes its copy
    at once, so that it does not keep the lock when this process dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = os.open(path, _FLAGS, 0o644)
        if not try_lock(self._handle, exclusive=True, wait=False):
            os.close(self._handle)
            raise FileExistsError(path)
        _held.add(self)

    def leave(self) -> None:
        """Give up the lock and remove the file."""
        self._path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Close the file without more; what a forked child does."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def is_locked(path: Path) -> bool:
    """Say whether some process, this one included, holds the lock on a file."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # somebody else's: we cannot tell, and must not take it for dead
    try:
        return not try_lock(handle, exclusive=False, wait=False)
    finally:
        os.close(handle)


_held: weakref.WeakSet[Presence] = weakref.WeakSet()


def _forget_all() -> None:
    for presence in list(_held):
        presence.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
