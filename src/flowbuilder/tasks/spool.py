"""What a child process writes: kept up to a bound, in memory while it is small, then on disk."""

from __future__ import annotations

import codecs
import mmap
import tempfile
from typing import IO, TYPE_CHECKING, Final

from flowbuilder.core.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable

IN_MEMORY_BYTES: Final = 1024 * 1024
"""What is kept in memory before it goes to disk."""
TAIL_BYTES: Final = 64 * 1024
LINE_BYTES: Final = 16 * 1024
"""A longer line is logged in pieces."""


class Spool:
    """Keeps what is written to it, all of it.

    Args:
        limit: bytes; what goes beyond raises `TaskFailed` with the kind `output.size`.
        name: of the stream, for that error.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Keep some more."""
        self.size += len(data)
        if self.size > self._limit:
            raise TaskFailed(
                "output.size", f"{self._name} is more than {self._limit:,} bytes (limits.output_bytes)"
            )
        self._file.write(data)

    def text(self, encoding: str = "utf-8") -> str:
        """Return all of it as text; what is none is replaced.  A long text is in memory once, not twice.

        Raises:
            LookupError: there is no such encoding.
        """
        if self.size <= IN_MEMORY_BYTES:
            return self.data().decode(encoding, "replace")
        self._file.flush()
        with mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ) as mapped:
            return str(mapped, encoding, "replace")

    def data(self) -> bytes:
        """Return all of it."""
        self._file.seek(0)
        return self._file.read()

    def close(self) -> None:
        """Throw it away."""
        self._file.close()


class Tail:
    """Keeps the end of what is written to it."""

    def __init__(self, limit: int = TAIL_BYTES) -> None:
        self._limit = limit
        self._data = bytearray()
        self._cut = False

    def write(self, data: bytes) -> None:
        """Keep some more, and forget the oldest."""
        self._data += data
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]
            self._cut = True

    def text(self, limit: int | None = None) -> str:
        """Return the last `limit` bytes of it; `…` stands for what is missing."""
        limit = self._limit if limit is None else limit
        text = bytes(self._data[-limit:]).decode("utf-8", "replace")
        return "…" + text.lstrip("\ufffd") if self._cut or len(self._data) > limit else text


class Replaced:
    """Replaces a text wherever it stands in a stream, across chunks too; without one, nothing.

    Args:
        old: what is replaced.
        new: what stands there then.
    """

    def __init__(self, old: bytes = b"", new: bytes = b"") -> None:
        self._old = old
        self._new = new
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is certain by now; what may be the beginning of the text is held back."""
        old = self._old
        if not old:
            return data
        data = (self._rest + data).replace(old, self._new)
        most = min(len(old) - 1, len(data))
        held = next((size for size in range(most, 0, -1) if old.startswith(data[-size:])), 0)
        self._rest = data[len(data) - held :]
        return data[: len(data) - held]

    def close(self) -> bytes:
        """Return what was held back."""
        rest, self._rest = self._rest, b""
        return rest


class Lines:
    """Cuts a stream into lines and hands each on as text, for the log."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Hand on the lines that are whole by now."""
        *lines, rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._write(line.rstrip("\r"))
        while len(rest) > LINE_BYTES:
            self._write(rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._rest = rest

    def close(self) -> None:
        """Hand on a last line that has no end."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        if rest:
            self._write(rest)
