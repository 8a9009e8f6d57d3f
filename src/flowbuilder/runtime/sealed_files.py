"""Files that are sensitive: sealed among the blobs, and opened for as long as a run needs them.

```text
FILE_MAGIC   key's id (8)   salt (16)   pieces of a MiB, each with its tag
```

A file has a key of its own, made of the installation's and the salt; a piece
is bound to its place, and the last one to being the last.  A task that is
given such a file reads it from a folder that nobody else may read, in memory
where the system has such a place; it goes with the run, and with the engine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from flowbuilder.core.errors import StoreCorrupt
from flowbuilder.core.sealed import FILE_MAGIC
from flowbuilder.storage.filelock import is_locked, lock_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.runtime.encryption import Keys
    from flowbuilder.runtime.sealing import Sealing
    from flowbuilder.storage.api import Blobs

PIECE: Final = 1024 * 1024
_SALT_BYTES: Final = 16
_TAG_BYTES: Final = 16
_PREFIX: Final = "flowbuilder-open-"
_IN_MEMORY: Final = Path("/dev/shm")
"""Where files are that never come to a disk."""
_LOCK: Final = "lock"


class SealedFiles:
    """Keeps files sealed, and opens them for runs.  Its methods block, and any thread may call them."""

    def __init__(self, sealing: Sealing, blobs: Callable[[], Blobs]) -> None:
        self._sealing = sealing
        self._blobs = blobs
        self.runs: set[str] = set()
        """Those that something was opened for."""
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._held = contextlib.ExitStack()

    def put(self, path: Path) -> tuple[str, int]:
        """Keep what is in a file, sealed; return the name of the blob, and the size of what is in the file.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        keys = self._sealing.keys("a file of a sensitive task cannot be kept: there is no key to encrypt it")
        handle, name = tempfile.mkstemp(prefix="flowbuilder-")
        aside = Path(name)
        try:
            with path.open("rb") as source, os.fdopen(handle, "wb") as into:
                _seal(keys, source, into)
            blob, _ = self._blobs().put_file(aside)
        finally:
            aside.unlink(missing_ok=True)
        return blob, path.stat().st_size

    def opened(self, run_id: str, sealed: Path) -> Path:
        """Return a file with what was sealed, to be read only, which is there until `forget`.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
            StoreCorrupt: it is damaged.
        """
        keys = self._sealing.keys(f"the file {sealed.name} is encrypted, and there is no key to decrypt it")
        with self._lock:
            folder = self._own_folder() / run_id
            folder.mkdir(mode=0o700, exist_ok=True)
            self.runs.add(run_id)
            target = folder / sealed.name
            if not target.exists():
                aside = target.with_suffix(".part")
                with sealed.open("rb") as source, aside.open("wb") as into:
                    _open(keys, source, into)
                aside.chmod(0o400)
                aside.replace(target)
        return target

    def forget(self, run_id: str) -> None:
        """Throw away what was opened for a run."""
        self.runs.discard(run_id)
        if self._folder is not None:
            shutil.rmtree(self._folder / run_id, ignore_errors=True)

    def close(self) -> None:
        """Throw away all that was opened."""
        with self._lock:
            self._held.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _own_folder(self) -> Path:
        """Return the folder of this engine, made when it is first needed; those of the dead go then."""
        if self._folder is None:
            for parent in _places():
                for left in parent.glob(_PREFIX + "*"):
                    if not is_locked(left / _LOCK):
                        shutil.rmtree(left, ignore_errors=True)
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=next(_places())))
            self._held.enter_context(lock_file(self._folder / _LOCK, exclusive=True))
        return self._folder


def _places() -> Iterator[Path]:
    """Yield where opened files may lie, the best first."""
    if _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK):
        yield _IN_MEMORY
    yield Path(tempfile.gettempdir())


def _seal(keys: Keys, source: IO[bytes], into: IO[bytes]) -> None:
    salt = os.urandom(_SALT_BYTES)
    cipher = keys.cipher(keys.first, b"file\0" + salt)
    into.write(FILE_MAGIC + keys.first + salt)
    number, piece = 0, source.read(PIECE)
    while True:
        following = source.read(PIECE)
        into.write(cipher.encrypt(_nonce(number), piece, b"more" if following else b"last"))
        if not following:
            return
        number, piece = number + 1, following


def _open(keys: Keys, source: IO[bytes], into: IO[bytes]) -> None:
    from cryptography.exceptions import InvalidTag  # start-up time: few flows have anything sensitive

    source.read(len(FILE_MAGIC))
    id, salt = source.read(len(keys.first)), source.read(_SALT_BYTES)
    cipher = keys.cipher(id, b"file\0" + salt)
    number, piece = 0, source.read(PIECE + _TAG_BYTES)
    while True:
        following = source.read(PIECE + _TAG_BYTES)
        try:
            into.write(cipher.decrypt(_nonce(number), piece, b"more" if following else b"last"))
        except InvalidTag:
            raise StoreCorrupt("a file of a sensitive task is damaged", "restore it from a backup") from None
        if not following:
            return
        number, piece = number + 1, following


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
