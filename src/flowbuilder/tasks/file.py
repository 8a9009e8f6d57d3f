"""`file`: files on this machine, and over fsspec elsewhere."""

from __future__ import annotations

import errno
import functools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import StoreError, TaskFailed
from flowbuilder.core.values import MAX_BYTES
from flowbuilder.tasks.contents import SUFFIXES, parse, render
from flowbuilder.tasks.local_files import LocalFiles
from flowbuilder.tasks.params import get_boolean, get_text, mapping, refuse
from flowbuilder.tasks.places import local_path
from flowbuilder.tasks.references import FILE as REFERENCE
from flowbuilder.tasks.references import hash_of, path_of, put_file
from flowbuilder.tasks.remote_files import RemoteFiles
from flowbuilder.tasks.specs.files import CHANGES, FILE, FORMATS, LOOKS

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

_PIECE: Final = 1024 * 1024
_KINDS: Final = {
    errno.ENOENT: "file.not_found",
    errno.ENOTDIR: "file.not_found",
    errno.EEXIST: "file.exists",
    errno.EACCES: "file.denied",
    errno.EPERM: "file.denied",
    errno.EROFS: "file.denied",
    errno.ENOSPC: "file.full",
    errno.EDQUOT: "file.full",
}


class File:
    """Does one thing to a file; a file that is written is there whole, or not at all."""

    spec = FILE

    async def run(self, call: Call) -> Any:
        """Do one attempt.

        Raises:
            TaskFailed: `file.not_found`, `file.exists`, `file.denied`, `file.outside`, `file.format`,
                `file.full`, `file.error`, `output.size`, `connection`, `input`.
        """
        params = mapping(call.params)
        asked = [name for name in (*LOOKS, *CHANGES) if name in params]
        if len(asked) != 1:
            raise TaskFailed("input", "a 'file' task has one of " + ", ".join((*LOOKS, *CHANGES)))
        work = _Work(call, params, asked[0])
        return await call.services.in_thread(work.do)


class _Work:
    """One call; all of it blocks, on a thread."""

    def __init__(self, call: Call, params: dict[str, Any], operation: str) -> None:
        self._call = call
        self._params = params
        self._operation = operation
        self._encoding = get_text(params, "encoding") or "utf-8"
        self._overwrite = get_boolean(params, "overwrite", True)
        self._recursive = get_boolean(params, "recursive", False)
        self._format = get_text(params, "as")
        if self._format is not None and self._format not in FORMATS:
            raise TaskFailed("input", "'as' is one of " + ", ".join(FORMATS))

    def do(self) -> Any:
        try:
            return getattr(self, f"_{self._operation}")(self._params[self._operation])
        except (TaskFailed, StoreError):
            raise
        except OSError as error:
            raise _failure(error, self._shown()) from None
        except Exception as error:  # what a file system elsewhere raises is of any kind
            raise TaskFailed("file.error", f"{type(error).__name__}: {error}") from None

    def _shown(self) -> str:
        path = self._params[self._operation]
        return path if isinstance(path, str) else str(path.get("name", "the file"))

    # -- where files are ----------------------------------------------------------------

    def _files(self, path: str) -> LocalFiles | RemoteFiles:
        """Return what knows of a path."""
        name = get_text(self._params, "connection")
        if name is None:
            if path.startswith("file://"):
                raise TaskFailed("input", "write a path on this machine without 'file://'")
            return RemoteFiles("", {}) if "://" in path else self._local(None)
        connection = self._call.services.connection(self._call, name)
        if connection.type != "files":
            raise TaskFailed(
                "connection", f"the connection '{name}' is of type '{connection.type}', not 'files'"
            )
        url = str(connection.get("url") or "")
        protocol = str(connection.get("protocol") or "") or url.partition("://")[0] * ("://" in url)
        options = {key: value for key, value in connection.options.items() if key not in ("url", "protocol")}
        if protocol in ("", "file", "local"):
            return self._local(Path(connection.folder) / url.removeprefix("file://"))
        return RemoteFiles(url or f"{protocol}://", options)

    def _local(self, base: Path | None) -> LocalFiles:
        anywhere = get_boolean(self._params, "anywhere", False)
        resolve = functools.partial(local_path, self._call, anywhere=anywhere, base=base)
        return LocalFiles(resolve, base or self._call.workspace or self._call.folder)

    def _path(self, value: Any, name: str) -> str:
        if not isinstance(value, str) or not value:
            refuse(name, "a path", value)
        return value

    # -- what is done -------------------------------------------------------------------

    def _read(self, source: Any) -> Any:
        blob = hash_of(source)
        if blob is not None:
            kept = path_of(self._call, blob)
            name = str(source.get("name", "the file"))
            if self._format == "reference":
                return source
            _check_size(kept.stat().st_size, name)
            return self._parsed(kept.read_bytes(), name)
        path = self._path(source, "read")
        files = self._files(path)
        if self._format == "reference":
            return self._kept(files, path)
        _check_size(files.size(path), path)
        with files.open(path) as file:
            data = file.read(MAX_BYTES + 1)
        _check_size(len(data), path)
        return self._parsed(data, path)

    def _parsed(self, data: bytes, name: str) -> Any:
        format = self._format or SUFFIXES.get(Path(name).suffix.lower(), "text")
        return parse(data, format, self._encoding, name)

    def _kept(self, files: LocalFiles | RemoteFiles, path: str) -> dict[str, Any]:
        name = path.rstrip("/").rpartition("/")[2]
        with tempfile.TemporaryDirectory(prefix="flowbuilder-") as folder:
            here = Path(folder) / "file"
            with files.open(path) as file, here.open("wb") as into:
                shutil.copyfileobj(file, into, _PIECE)
            blob, size = put_file(self._call, here)
        return {REFERENCE: blob, "name": name, "bytes": size}

    def _write(self, value: Any) -> dict[str, Any]:
        path = self._path(value, "write")
        content = self._params.get("content", "")
        files = self._files(path)
        with files.replace(path, overwrite=self._overwrite) as into:
            blob = hash_of(content)
            if blob is not None:
                with path_of(self._call, blob).open("rb") as source:
                    shutil.copyfileobj(source, into, _PIECE)
            else:
                format = self._format or (None if isinstance(content, str | bytes) else "json")
                into.write(render(content, format, self._encoding))
            size = into.tell()
        return {"path": path, "bytes": size}

    def _append(self, value: Any) -> dict[str, Any]:
        path = self._path(value, "append")
        data = render(self._params.get("content", ""), self._format, self._encoding)
        self._files(path).append(path, data)
        return {"path": path, "bytes": len(data)}

    def _list(self, value: Any) -> list[dict[str, Any]]:
        path = self._path(value, "list")
        return self._files(path).entries(path, recursive=self._recursive)

    def _glob(self, value: Any) -> list[dict[str, Any]]:
        path = self._path(value, "glob")
        return self._files(path).glob(path)

    def _exists(self, value: Any) -> bool:
        path = self._path(value, "exists")
        return self._files(path).exists(path)

    def _info(self, value: Any) -> dict[str, Any]:
        path = self._path(value, "info")
        return self._files(path).info(path)

    def _mkdir(self, value: Any) -> dict[str, Any]:
        path = self._path(value, "mkdir")
        self._files(path).mkdir(path)
        return {"path": path}

    def _copy(self, source: Any) -> dict[str, Any]:
        to = self._path(self._params.get("to"), "to")
        target = self._files(to)
        blob = hash_of(source)
        if blob is not None:
            with (
                path_of(self._call, blob).open("rb") as file,
                target.replace(to, overwrite=self._overwrite) as into,
            ):
                shutil.copyfileobj(file, into, _PIECE)
            return {"path": to}
        path = self._path(source, "copy")
        files = self._files(path)
        if type(files) is type(target) and _scheme(path) == _scheme(to):
            files.copy(path, to, overwrite=self._overwrite)
        else:
            with files.open(path) as file, target.replace(to, overwrite=self._overwrite) as into:
                shutil.copyfileobj(file, into, _PIECE)
        return {"path": to}

    def _move(self, value: Any) -> dict[str, Any]:
        path, to = self._path(value, "move"), self._path(self._params.get("to"), "to")
        files = self._files(path)
        if _scheme(path) == _scheme(to):
            files.move(path, to, overwrite=self._overwrite)
        else:
            self._copy(path)
            files.delete(path, recursive=False)
        return {"path": to}

    def _delete(self, value: Any) -> bool:
        path = self._path(value, "delete")
        try:
            had = self._files(path).delete(path, recursive=self._recursive)
        except FileNotFoundError:
            had = False
        if not had and not get_boolean(self._params, "missing_ok", True):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", path)
        return had


def _scheme(path: str) -> str:
    return path.partition("://")[0] if "://" in path else ""


def _check_size(size: int | None, path: str) -> None:
    if size is not None and size > MAX_BYTES:
        raise TaskFailed(
            "output.size", f"'{path}' has more than {MAX_BYTES:,} bytes: read it as a `reference`"
        )


def _failure(error: OSError, path: str) -> TaskFailed:
    kind = _KINDS.get(error.errno or 0)
    if kind is None:
        kinds: dict[type[OSError], str] = {
            FileNotFoundError: "file.not_found",
            FileExistsError: "file.exists",
        }
        kind = next((found for sort, found in kinds.items() if isinstance(error, sort)), "file.error")
    what = {
        "file.not_found": f"there is no '{path}'",
        "file.exists": "there is something already, and `overwrite` is false",
        "file.denied": f"'{path}' may not be used so: {error.strerror}",
        "file.full": "the disk is full",
    }.get(kind, f"'{path}': {error.strerror or error}")
    return TaskFailed(kind, what)
