"""Files on this machine, with the face that `tasks.remote_files` has for those elsewhere."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.places import modified_at


class LocalFiles:
    """Does what is asked with paths on this machine; all of it blocks.

    Args:
        resolve: returns the file that a path of the flow means, or refuses it.
        start: the folder that paths in entries are relative to.
    """

    def __init__(self, resolve: Callable[[str], Path], start: Path) -> None:
        self._resolve = resolve
        self._start = Path(os.path.abspath(start))

    def size(self, path: str) -> int | None:
        """Return how many bytes a file has; None where nobody knows."""
        return self._resolve(path).stat().st_size

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file to be read."""
        with self._resolve(path).open("rb") as file:
            yield file

    @contextlib.contextmanager
    def replace(self, path: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
        """Open a file to be written aside; it takes its place, whole and on disk, when that has gone well."""
        target = self._resolve(path)
        if not overwrite and target.exists():
            raise FileExistsError(17, "File exists", path)
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory", path)
        target.parent.mkdir(parents=True, exist_ok=True)
        before = target.stat().st_mode & 0o7777 if target.exists() else None
        handle, aside = _make_aside(target, private=before is not None)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if before is not None:
                os.chmod(aside, before)
            if overwrite:
                os.replace(aside, target)
            else:
                os.link(aside, target)  # unlike a rename it never replaces what came meanwhile
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(aside)

    def append(self, path: str, data: bytes) -> None:
        """Put bytes at the end of a file, and make it where there is none."""
        target = self._resolve(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def exists(self, path: str) -> bool:
        """Tell whether there is something at a path."""
        return self._resolve(path).exists()

    def info(self, path: str) -> dict[str, Any]:
        """Return the entry of a path."""
        return self._entry(self._resolve(path))

    def entries(self, path: str, *, recursive: bool) -> list[dict[str, Any]]:
        """Return what is in a folder."""
        folder = self._resolve(path)
        if not folder.is_dir():
            raise (
                NotADirectoryError(20, "Not a directory", path)
                if folder.exists()
                else FileNotFoundError(2, "", path)
            )
        found = folder.rglob("*") if recursive else folder.iterdir()
        return [self._entry(each) for each in sorted(found)]

    def glob(self, pattern: str) -> list[dict[str, Any]]:
        """Return the entries of all that fits a pattern."""
        start = pattern
        while glob.has_magic(start):
            start = os.path.dirname(start)
        self._resolve(start or ".")  # refuses what lies outside
        whole = Path(os.path.abspath(self._start / pattern))
        found = []
        for each in sorted(glob.glob(str(whole), recursive=True)):
            with contextlib.suppress(TaskFailed):  # a link that leads out
                found.append(self._entry(self._resolve(each)))
        return found

    def mkdir(self, path: str) -> None:
        """Make a folder, and those above it."""
        self._resolve(path).mkdir(parents=True, exist_ok=True)

    def move(self, path: str, to: str, *, overwrite: bool) -> None:
        """Move a file or folder."""
        source, target = self._resolve(path), self._resolve(to)
        if target.is_dir():
            target = target / source.name
        if not overwrite and target.exists():
            raise FileExistsError(17, "File exists", to)
        if not source.exists() and target.exists():
            return  # an attempt before this one has moved it, and a crash took back that we knew
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)

    def copy(self, path: str, to: str, *, overwrite: bool) -> None:
        """Copy a file or folder."""
        source, target = self._resolve(path), self._resolve(to)
        if source.is_dir():
            if not overwrite and target.exists():
                raise FileExistsError(17, "File exists", to)
            shutil.copytree(source, target, dirs_exist_ok=True)
            return
        name = str(target / source.name) if target.is_dir() else to
        with source.open("rb") as file, self.replace(name, overwrite=overwrite) as into:
            shutil.copyfileobj(file, into, 1024 * 1024)

    def delete(self, path: str, *, recursive: bool) -> bool:
        """Delete a file or folder; tell whether it was there."""
        target = self._resolve(path)
        if Path(os.path.realpath(self._start)).is_relative_to(os.path.realpath(target)):
            raise TaskFailed(
                "input", "'delete' does not delete the folder that the flow lies in, nor one around it"
            )
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target) if recursive else target.rmdir()
            return True
        try:
            target.unlink()
        except FileNotFoundError:
            return False
        return True

    def _entry(self, path: Path) -> dict[str, Any]:
        state = path.stat()
        shown = path.relative_to(self._start) if path.is_relative_to(self._start) else path
        folder = path.is_dir()
        return {
            "path": shown.as_posix(),
            "name": path.name,
            "type": "folder" if folder else "file",
            "size": 0 if folder else state.st_size,
            "modified_at": modified_at(state.st_mtime),
        }


def _make_aside(target: Path, *, private: bool) -> tuple[int, str]:
    """Open a new file beside another; unless it is private, with the rights that any new file has.

    The system knows those.  To ask for the process's mask is to set it, for all threads.
    """
    prefix = f".{target.name[:100]}."
    if private:
        return tempfile.mkstemp(dir=target.parent, prefix=prefix)
    while True:
        aside = str(target.parent / f"{prefix}{secrets.token_hex(8)}")
        with contextlib.suppress(FileExistsError):
            return os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), aside
