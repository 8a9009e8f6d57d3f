"""Large values in files named by their content, in a folder beside the store.

A value is written aside, flushed, renamed and its folder flushed, so that a
name that is there has its whole content behind it, also after a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flowbuilder.core.errors import StoreCorrupt, StoreError, StoreFull, StoreReadOnly
from flowbuilder.storage.filelock import lock_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NAME = re.compile(r"[0-9a-f]{64}")
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


_PIECE = 1024 * 1024
_IN_BATCH = re.compile(rb"\xd9\x40([0-9a-f]{64})")
"""A text of 64 characters in MessagePack."""


class FileBlobs:
    """Blobs as files `folder/ab/abcdef…`; any number of processes may use one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes | memoryview) -> str:
        """Keep a value durably and return its hash; a value that is there already is not written again."""
        name = hashlib.sha256(data).hexdigest()
        with self._errors():
            path = self._path(name)
            if not self._touch(path):
                self._write(path, data)
        return name

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep what is in a file durably, piece by piece, and return its hash and its size."""
        with path.open("rb") as source, self._errors():
            aside = self._folder / "new" / f"{os.getpid()}-{threading.get_ident()}.part"
            aside.parent.mkdir(parents=True, exist_ok=True)
            try:
                name, size = _copy(source, aside)
                target = self._path(name)
                if not self._touch(target):
                    fresh = not target.parent.is_dir()
                    target.parent.mkdir(parents=True, exist_ok=True)
                    aside.chmod(0o444)  # paths to it are handed to tasks
                    aside.replace(target)
                    self._flush(target, fresh=fresh)
            finally:
                aside.unlink(missing_ok=True)
        return name, size

    def path(self, content_hash: str) -> Path:
        """Return a value's file; `StoreCorrupt` where it is missing."""
        path = self._path(content_hash)
        if not _NAME.fullmatch(content_hash) or not path.is_file():
            raise StoreCorrupt(f"the blob {path} is missing", "restore it from a backup")
        return path.absolute()

    def get(self, content_hash: str) -> bytes:
        """Return a value.

        Raises:
            StoreCorrupt: if it is missing or its bytes do not hash to its name.
        """
        if not _NAME.fullmatch(content_hash):
            raise StoreCorrupt(f"no blob can have the name '{content_hash}'")
        path = self._path(content_hash)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StoreCorrupt(f"the blob {path} is missing", "restore it from a backup") from None
        except OSError as error:
            raise StoreError(f"the blob {path} cannot be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != content_hash:
            raise StoreCorrupt(f"the blob {path} is damaged", "restore it from a backup")
        return data

    def renew(self, content_hash: str) -> None:
        """Have a value count as put just now; `StoreCorrupt` where it is missing."""
        with self._errors():
            path = self._path(content_hash)
            if not self._touch(path):
                raise StoreCorrupt(f"the blob {path} is missing", "restore it from a backup")

    def sweep(self, referred: Callable[[str], bool], grace: float) -> int:
        """Delete values that nothing has referred to for `grace` seconds; returns how many.

        A value counts as referred to when it is put, so that what is put
        again while this runs stays.
        """
        count = 0
        limit = time.time() - grace
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime <= limit and (path.suffix or not referred(path.name)):
                    count += self._delete(path, limit)
        return count

    def _delete(self, path: Path, limit: float) -> int:
        with self._lock(exclusive=True):
            if path.stat().st_mtime > limit:
                return 0  # put again since we looked
            path.unlink()
        return 0 if path.suffix else 1

    def _touch(self, path: Path) -> bool:
        """Say whether the value is there, and have it count as new."""
        if not path.exists():
            return False
        with self._lock(exclusive=False), contextlib.suppress(FileNotFoundError):
            os.utime(path)
            return True
        return False

    def _write(self, path: Path, data: bytes | memoryview) -> None:
        fresh = not path.parent.is_dir()
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        self._flush(path, fresh=fresh)

    def _flush(self, path: Path, *, fresh: bool) -> None:
        flush_folder(path.parent)
        if fresh:
            flush_folder(self._folder)
            flush_folder(self._folder.parent)

    @contextlib.contextmanager
    def _lock(self, *, exclusive: bool) -> Iterator[None]:
        """Keep sweepers from deleting what somebody is putting again."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with lock_file(self._folder / ".lock", exclusive=exclusive):
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(f"the disk that holds {self._folder} is full", "free some space") from error
            if error.errno in _READ_ONLY:
                raise StoreReadOnly(
                    f"the blobs in {self._folder} cannot be written", "make the folder writable"
                ) from error
            raise StoreError(f"the blobs in {self._folder} cannot be written: {error}") from error

    def _path(self, content_hash: str) -> Path:
        return self._folder / content_hash[:2] / content_hash


def names_in(batch: bytes) -> list[str]:
    """Return what in a batch of a journal may be the name of a blob.

    The bytes are looked at, not decoded: a text that happens to look like one
    keeps a blob that could go, and no more.
    """
    return [name.decode() for name in _IN_BATCH.findall(batch)]


class MemoryBlobs:
    """Blobs in memory."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, float]] = {}
        self._folder: Path | None = None

    def put(self, data: bytes | memoryview) -> str:
        """Keep a value and return its hash."""
        name = hashlib.sha256(data).hexdigest()
        self._values[name] = (bytes(data), time.time())
        return name

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep what is in a file, and return its hash and its size."""
        data = path.read_bytes()
        return self.put(data), len(data)

    def path(self, content_hash: str) -> Path:
        """Return a file with a value; it is there as long as this is."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flowbuilder-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / content_hash
        if not path.exists():
            aside = path.with_suffix(f".{threading.get_ident()}")
            aside.write_bytes(self.get(content_hash))
            aside.chmod(0o444)
            aside.replace(path)
        return path

    def get(self, content_hash: str) -> bytes:
        """Return a value; `StoreCorrupt` where it is missing."""
        found = self._values.get(content_hash)
        if found is None:
            raise StoreCorrupt(f"the blob {content_hash} is missing")
        return found[0]

    def renew(self, content_hash: str) -> None:
        """Have a value count as put just now; `StoreCorrupt` where it is missing."""
        self._values[content_hash] = (self.get(content_hash), time.time())

    def sweep(self, referred: Callable[[str], bool], grace: float) -> int:
        """Delete values that nothing has referred to for `grace` seconds; returns how many."""
        limit = time.time() - grace
        old = [name for name, (_, at) in self._values.items() if at <= limit and not referred(name)]
        for name in old:
            del self._values[name]
        return len(old)


def _copy(source: IO[bytes], to: Path) -> tuple[str, int]:
    """Copy a file and flush it; return the hash of what was in it, and its size."""
    digest, size = hashlib.sha256(), 0
    with to.open("wb") as file:
        while piece := source.read(_PIECE):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def flush_folder(folder: Path) -> None:
    """Have a folder's entries outlive a power cut."""
    if os.name == "nt":
        return  # the system has no such call; a rename is in its log
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
