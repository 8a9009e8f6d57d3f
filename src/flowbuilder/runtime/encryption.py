"""Keys of this installation, and what they seal: AES-256-GCM, a key of its own for each run.

The first key seals; the others open what was sealed by them before.  A sealed
value names its key, so that keys can be replaced one after the other.  It is
bound to the run and the place that it was sealed for: copied elsewhere it
cannot be opened.

```text
key's id (8)   nonce (12)   how many names (4)   names of blobs (66 each)   ciphertext and tag
```

The names of blobs that a value refers to stand beside it in clear, as
MessagePack writes them, so that whoever sweeps finds them in a journal, a row
or a fact without any key.  They are bound to the value like the rest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.core.sealed import Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VARIABLE: Final = "FLOWBUILDER_ENCRYPTION_KEY"
KEY_BYTES: Final = 32
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_COUNT_BYTES: Final = 4
_NAME: Final = b"\xd9\x40"
"""What a text of 64 characters begins with in MessagePack."""
_NAME_BYTES: Final = len(_NAME) + 64


class EncryptionKeyMissing(FlowBuilderError):
    """Something sensitive is to be kept or read, and the key for it is not there."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return (
            f"{self.what}; set {VARIABLE}, or name a file of keys by `encryption.key_file` "
            "(`flowbuilder keys new` makes a key)"
        )


class EncryptionKeyUnusable(FlowBuilderError):
    """A key, or the file of keys, cannot be used: where it stands, what is wrong, how to put it right."""

    def __init__(self, source: str, what: str, hint: str = "") -> None:
        super().__init__(source, what, hint)
        self.source = source
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.source}: {self.what}" + (f"; {self.hint}" if self.hint else "")


def new_key() -> str:
    """Return a new key, as it is written."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class Keys:
    """Keys, the one that seals first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_id_of(key): key for key in keys}
        self._first = _id_of(keys[0])

    def __repr__(self) -> str:
        return f"Keys({len(self._keys)})"  # never a key: a repr ends up in logs

    def seal(self, data: bytes, run_id: str, place: str, names: Sequence[str] = ()) -> Sealed:
        """Return data sealed for a place in a run; `names` are of the blobs that it refers to."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = _cipher(self._keys[self._first], run_id)
        beside = len(names).to_bytes(_COUNT_BYTES, "big") + b"".join([_NAME + n.encode() for n in names])
        sealed = cipher.encrypt(nonce, data, _bound_to(run_id, place) + beside)
        return Sealed(self._first + nonce + beside + sealed)

    def has(self, key: bytes) -> bool:
        """Tell whether a key is among these, by its id."""
        return key in self._keys

    def open(self, sealed: Sealed, run_id: str, place: str) -> bytes:
        """Return what was sealed.

        Raises:
            EncryptionKeyMissing: the key that sealed it is not among these.
            EncryptionKeyUnusable: it was not sealed for this place, or is damaged.
        """
        data = sealed.data
        id, nonce = data[:_ID_BYTES], data[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        begins = _ID_BYTES + _NONCE_BYTES
        count = int.from_bytes(data[begins : begins + _COUNT_BYTES], "big")
        ends = begins + _COUNT_BYTES + count * _NAME_BYTES
        key = self._keys.get(id)
        if key is None:
            raise EncryptionKeyMissing(
                f"the key {id.hex()}, by which '{place}' of run {run_id} was encrypted, is not there"
            )
        from cryptography.exceptions import InvalidTag  # start-up time: few flows have anything sensitive

        try:
            return _cipher(key, run_id).decrypt(
                nonce, data[ends:], _bound_to(run_id, place) + data[begins:ends]
            )
        except InvalidTag:
            what = f"'{place}' of run {run_id} cannot be decrypted: it is damaged, or was not written there"
            raise EncryptionKeyUnusable("the store", what, "restore it from a backup") from None

    @property
    def first(self) -> bytes:
        """The id of the key that seals."""
        return self._first

    def cipher(self, id: bytes, purpose: bytes) -> AESGCM:
        """Return a cipher by a key made of one of these, for a purpose that never comes again.

        Raises:
            EncryptionKeyMissing: the key with this id is not among these.
        """
        key = self._keys.get(id)
        if key is None:
            raise EncryptionKeyMissing(f"the key {id.hex()}, by which a file was encrypted, is not there")
        return _cipher_of(key, b"flowbuilder " + purpose)

    def digests(self, data: bytes) -> list[str]:
        """Return what stands for data where it is only compared: by each key, the one that seals first.

        Without a key nobody can find out by trying what it stands for.
        """
        return [
            hmac.digest(key, b"flowbuilder digest\0" + data, "sha256").hex()[:40]
            for key in self._keys.values()
        ]


def key_of(sealed: Sealed) -> bytes:
    """Return the id of the key that sealed a value."""
    return sealed.data[:_ID_BYTES]


class Encryption:
    """Finds the keys when they are first needed.

    Args:
        file: the file of keys, one a line; None if the settings name none.
        environ: where `VARIABLE` may have them, in place of the file.
        lost_anyway: what is sealed is lost with the process: without keys, one is made up.
    """

    def __init__(self, file: Path | None, environ: Mapping[str, str], *, lost_anyway: bool = False) -> None:
        self._file = file
        self._environ = environ
        self._lost_anyway = lost_anyway
        self._keys: Keys | None = None

    def keys(self, what: str) -> Keys:
        """Return the keys.

        Args:
            what: what they are needed for, should there be none.

        Raises:
            EncryptionKeyMissing: there are none.
            EncryptionKeyUnusable: those that are there cannot be used.
        """
        if self._keys is None:
            found = self._find()
            if not found and not self._lost_anyway:
                raise EncryptionKeyMissing(what)
            self._keys = Keys(found or [os.urandom(KEY_BYTES)])
        return self._keys

    def _find(self) -> list[bytes]:
        text = self._environ.get(VARIABLE, "")
        if text.strip():
            return _parse(text, VARIABLE)
        return [] if self._file is None else _parse(_read(self._file), str(self._file))


def _read(path: Path) -> str:
    try:
        state = path.stat()
        if os.name == "posix" and state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise EncryptionKeyUnusable(
                str(path), "others can read it, or write to it", f"type 'chmod 600 {path}'"
            )
        return path.read_text("utf-8")
    except OSError as error:
        raise EncryptionKeyUnusable(str(path), f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EncryptionKeyUnusable(str(path), "it is no UTF-8") from None


def _parse(text: str, source: str) -> list[bytes]:
    """Return keys from a text: separated by white space or commas, what follows a `#` aside."""
    words = [
        word for line in text.splitlines() for word in re.split(r"[\s,]+", line.partition("#")[0]) if word
    ]
    if not words:
        raise EncryptionKeyUnusable(source, "it holds no key", "`flowbuilder keys new` makes one")
    return [_key(word, number, source) for number, word in enumerate(words, 1)]


def _key(word: str, number: int, source: str) -> bytes:
    try:
        if re.fullmatch(r"[0-9A-Fa-f]{64}", word):
            return bytes.fromhex(word)
        key = base64.b64decode(
            word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4), validate=True
        )
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:  # never the word itself: it may be a key with a slip of the pen
        what = f"key {number} is not {KEY_BYTES} bytes in base64 or hexadecimal"
        raise EncryptionKeyUnusable(source, what, "`flowbuilder keys new` makes one")
    return key


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"flowbuilder key\0" + key).digest()[:_ID_BYTES]


def _cipher(key: bytes, run_id: str) -> AESGCM:
    """Return the cipher of a run: with a key of its own, random nonces never come too close to repeating."""
    return _cipher_of(key, b"flowbuilder run\0" + run_id.encode())


def _cipher_of(key: bytes, purpose: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # start-up time, as above

    return AESGCM(hmac.digest(key, purpose, "sha256"))


def _bound_to(run_id: str, place: str) -> bytes:
    return f"{run_id}\0{place}".encode()
