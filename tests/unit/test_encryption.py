"""Keys seal values for one place in one run."""

import os

import pytest

from flowbuilder.core import values
from flowbuilder.core.sealed import Sealed, shown
from flowbuilder.runtime.encryption import (
    Encryption,
    EncryptionKeyMissing,
    EncryptionKeyUnusable,
    Keys,
    new_key,
)


def test_what_was_sealed_is_opened_by_the_same_key_only() -> None:
    key = os.urandom(32)
    sealed = Keys([key]).seal(b"value", "run", "task")

    assert Keys([os.urandom(32), key]).open(sealed, "run", "task") == b"value"
    with pytest.raises(EncryptionKeyMissing, match=r"the key [0-9a-f]{16}, by which 'task' of run run"):
        Keys([os.urandom(32)]).open(sealed, "run", "task")


@pytest.mark.parametrize(("run", "place"), [("other", "task"), ("run", "task[0]"), ("run\0task", "")])
def test_what_is_moved_elsewhere_cannot_be_opened(run: str, place: str) -> None:
    keys = Keys([os.urandom(32)])
    sealed = keys.seal(b"value", "run", "task")

    with pytest.raises(EncryptionKeyUnusable, match="damaged, or was not written there"):
        keys.open(sealed, run, place)


def test_what_is_changed_or_cut_short_cannot_be_opened() -> None:
    keys = Keys([os.urandom(32)])
    data = keys.seal(b"value", "run", "task").data

    for at in range(8, len(data)):
        with pytest.raises(EncryptionKeyUnusable):
            keys.open(Sealed(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]), "run", "task")
        with pytest.raises((EncryptionKeyUnusable, ValueError)):
            keys.open(Sealed(data[:at]), "run", "task")


def test_the_same_value_never_looks_the_same_twice() -> None:
    keys = Keys([os.urandom(32)])

    assert len({keys.seal(b"value", "run", "task").data for _ in range(100)}) == 100


def test_a_sealed_value_is_kept_and_shown_as_stars() -> None:
    sealed = Keys([os.urandom(32)]).seal(b"value", "run", "task")

    assert values.decode(values.encode({"a": sealed})) == {"a": sealed}
    assert values.to_json([sealed, 1]) == ["***", 1]
    assert shown({"a": sealed, "b": 1}) == {"a": "***", "b": 1}


def test_keys_are_read_in_any_spelling_and_never_shown() -> None:
    key = new_key()
    url = key.replace("+", "-").replace("/", "_").rstrip("=")
    sealed = Encryption(None, {"FLOWBUILDER_ENCRYPTION_KEY": key}).keys("").seal(b"v", "r", "p")

    for text in (url, f" {key}\n", f"{'00' * 32},{url}"):
        keys = Encryption(None, {"FLOWBUILDER_ENCRYPTION_KEY": text}).keys("")
        assert keys.open(sealed, "r", "p") == b"v"
        assert key[:8] not in repr(keys)
