"""Files elsewhere, over fsspec: S3, HTTP, memory, archives, whatever is installed."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.databases.base import missing
from flowbuilder.tasks.places import modified_at

_WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory", "oci", "oss", "r2"})
"""Stores where a file comes into being when it is closed, and not before."""


class RemoteFiles:
    """Does what is asked with files of an fsspec file system; all of it blocks.

    Args:
        base: the URL that paths start at, or an empty text: then each path is a URL.
        options: of the file system.
    """

    def __init__(self, base: str, options: Mapping[str, Any]) -> None:
        self._base = base.rstrip("/") if not base.endswith("://") else base
        self._options = dict(options)

    def _at(self, path: str) -> tuple[Any, str]:
        """Return the file system of a path, and the path in it."""
        try:
            from fsspec.core import url_to_fs  # an extra
        except ImportError:
            raise missing("fsspec", "files") from None
        if ".." in path.replace("\\", "/").split("/"):
            raise TaskFailed("file.outside", f"'{path[:200]}' has '..' in it")
        url = (
            path
            if "://" in path
            else f"{self._base}{'' if self._base.endswith('/') else '/'}{path.lstrip('/')}"
        )
        if self._base and not url.startswith(self._base):
            raise TaskFailed("file.outside", f"'{path[:200]}' does not lie in the connection's 'url'")
        try:
            system, inner = url_to_fs(url, **self._options)
        except ImportError as error:
            raise TaskFailed("connection", f"{error}") from None
        except ValueError as error:
            raise TaskFailed("input", f"'{path[:200]}' cannot be opened: {error}") from None
        system.invalidate_cache()  # others change what is there
        return system, inner

    def size(self, path: str) -> int | None:
        """Return how many bytes a file has; None where nobody knows."""
        system, inner = self._at(path)
        found = system.info(inner).get("size")
        return None if found is None else int(found)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file to be read."""
        system, inner = self._at(path)
        with system.open(inner, "rb") as file:
            yield file

    @contextlib.contextmanager
    def replace(self, path: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
        """Open a file to be written; it takes its place, whole, when that has gone well."""
        system, inner = self._at(path)
        if not overwrite and system.exists(inner):
            raise FileExistsError(17, "File exists", path)
        parent = inner.rpartition("/")[0]
        if parent:
            with contextlib.suppress(Exception):  # many stores have no folders, or may not make buckets
                system.makedirs(parent, exist_ok=True)
        protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
        aside = inner if protocols & _WHOLE else f"{inner}.{uuid.uuid4().hex[:8]}.part"
        try:
            file = system.open(aside, "wb")
            try:
                yield file
            except BaseException:
                with contextlib.suppress(Exception):
                    file.discard() if aside == inner and hasattr(file, "discard") else file.close()
                raise
            file.close()
        except BaseException:
            if aside != inner:
                with contextlib.suppress(Exception):
                    system.rm_file(aside)
            raise
        if aside != inner:
            system.mv(aside, inner)

    def append(self, path: str, data: bytes) -> None:
        """Put bytes at the end of a file, and make it where there is none."""
        system, inner = self._at(path)
        before = system.cat_file(inner) if system.exists(inner) else b""
        with self.replace(path, overwrite=True) as file:
            file.write(before + data)

    def exists(self, path: str) -> bool:
        """Tell whether there is something at a path."""
        system, inner = self._at(path)
        return bool(system.exists(inner))

    def info(self, path: str) -> dict[str, Any]:
        """Return the entry of a path."""
        system, inner = self._at(path)
        return self._entry(system, system.info(inner))

    def entries(self, path: str, *, recursive: bool) -> list[dict[str, Any]]:
        """Return what is in a folder."""
        system, inner = self._at(path)
        if recursive:
            found = list(system.find(inner, detail=True, withdirs=True).values())
            found = [each for each in found if each["name"].rstrip("/") != inner.rstrip("/")]
        else:
            found = system.ls(inner, detail=True)
        return [self._entry(system, each) for each in sorted(found, key=lambda each: each["name"])]

    def glob(self, pattern: str) -> list[dict[str, Any]]:
        """Return the entries of all that fits a pattern."""
        system, inner = self._at(pattern)
        found = system.glob(inner, detail=True)
        return [self._entry(system, found[name]) for name in sorted(found)]

    def mkdir(self, path: str) -> None:
        """Make a folder, and those above it."""
        system, inner = self._at(path)
        system.makedirs(inner, exist_ok=True)

    def move(self, path: str, to: str, *, overwrite: bool) -> None:
        """Move a file or folder."""
        system, inner = self._at(path)
        target = self._at(to)[1]
        if not overwrite and system.exists(target):
            raise FileExistsError(17, "File exists", to)
        if not system.exists(inner):
            if system.exists(target):
                return  # an attempt before this one has moved it
            raise FileNotFoundError(2, "No such file", path)
        system.mv(inner, target, recursive=True)

    def copy(self, path: str, to: str, *, overwrite: bool) -> None:
        """Copy a file or folder."""
        system, inner = self._at(path)
        target = self._at(to)[1]
        if not overwrite and system.exists(target):
            raise FileExistsError(17, "File exists", to)
        system.copy(inner, target, recursive=bool(system.isdir(inner)))

    def delete(self, path: str, *, recursive: bool) -> bool:
        """Delete a file or folder; tell whether it was there."""
        system, inner = self._at(path)
        if not system.exists(inner):
            return False
        if not recursive and system.isdir(inner) and system.ls(inner):
            raise OSError(39, "Directory not empty", path)
        system.rm(inner, recursive=recursive)
        return True

    def _entry(self, system: Any, found: Mapping[str, Any]) -> dict[str, Any]:
        name = str(found["name"]).rstrip("/")
        folder = found.get("type") == "directory"
        whole = system.unstrip_protocol(name.lstrip("/") if system.protocol == "memory" else name)
        path = whole.removeprefix(self._base).lstrip("/") if self._base else whole
        modified = (
            found.get("mtime") or found.get("LastModified") or found.get("modified") or found.get("created")
        )
        if isinstance(modified, int | float):
            modified = modified_at(modified)
        elif isinstance(modified, dt.datetime):
            modified = modified.astimezone(dt.UTC) if modified.tzinfo else modified.replace(tzinfo=dt.UTC)
        else:
            modified = None
        return {
            "path": path,
            "name": name.rpartition("/")[2],
            "type": "folder" if folder else "file",
            "size": int(found.get("size") or 0),
            "modified_at": modified,
        }
