"""Frames of an archive: packed, and each with a digest of all that stands before it.

A frame is a length in four bytes and what is packed: MessagePack of its kind
and its content.  The first one, which says what follows, is not packed; any
release can read it.  Behind every other stands a digest of all bytes of the
file up to there: nothing is handed on that is not, to the last bit, what was
written, where it was written.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = "head"
"""The kind of the first frame, which any release can read."""
END: Final = "end"
"""The kind of the last one."""
_DIGEST: Final = 16
_LEVEL: Final = 6
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class FrameWriter:
    """Writes frames behind a line that says what the file is."""

    def __init__(self, file: IO[bytes], magic: bytes) -> None:
        self._file = file
        self._packer = zlib.compressobj(_LEVEL)
        self._digest = hashlib.blake2b(digest_size=_DIGEST)
        self._write(magic)

    def put(self, kind: str, what: Any) -> None:
        """Write a frame; with the last one, the file is whole."""
        frame = _encode([kind, what])
        if kind != HEAD:
            frame = self._packer.compress(frame) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._write(len(frame).to_bytes(4, "big"))
        self._write(frame)
        if kind != HEAD:
            self._write(self._digest.digest())

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def read_frames(file: IO[bytes], magic: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the frames of an archive; the last one when nothing stands behind it.

    Raises:
        ArchiveError: it is none, or is damaged.
    """
    if file.read(len(magic)) != magic:
        raise ArchiveError("this is no archive of runs")
    unpacker, digest = zlib.decompressobj(), hashlib.blake2b(magic, digest_size=_DIGEST)

    def read(length: int) -> bytes:
        data = file.read(length)
        if len(data) < length:
            raise ArchiveError("it ends in the midst")
        return data

    kind = ""
    try:
        while kind != END:
            size = read(4)
            frame = read(int.from_bytes(size, "big"))
            digest.update(size)
            digest.update(frame)
            if kind:
                wanted = digest.digest()
                if read(_DIGEST) != wanted:
                    raise ArchiveError("it is not what was written")
                digest.update(wanted)
                frame = unpacker.decompress(frame)
            kind, what = _decode(frame)
            if kind == END and file.read(1):
                raise ArchiveError("something stands behind its end")
            yield str(kind), what
    except (OSError, MemoryError, zlib.error, msgspec.DecodeError, ValueError, TypeError) as error:
        raise ArchiveError(str(error) or "it cannot be read") from None
