"""What the cache keeps, as commands choose among it.

Of a key that may hold something sensitive only a digest is kept, by the installation's
key: it is found by that, where the commands have the key that the engine had.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.cli.command import Option
from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.cache import KIND, Entry, decode_entry, encoded_key, hidden_name
from flowbuilder.runtime.encryption import Encryption, EncryptionKeyMissing
from flowbuilder.runtime.project import key_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from flowbuilder.storage.api import Fact, Facts

CHOICE: Final = (
    Option(("--flow",), "Only outputs that runs of this flow made", "NAME"),
    Option(("--task",), "Only outputs of this task: its path, such as `build.compile`", "PATH"),
    Option(("--key",), "Only outputs with this key: a text, or as JSON", "KEY"),
)
"""Which of all outputs that are kept are meant."""
_PAGE: Final = 1000


def chosen(facts: Facts, arguments: argparse.Namespace) -> Iterator[tuple[Fact, Entry]]:
    """Yield what is kept and was asked for, in the order of its names.

    Raises:
        EncryptionKeyUnusable: the keys that are there cannot be used.
    """
    hidden = tuple(_hidden_names(arguments.key, arguments.store)) if arguments.key is not None else ()
    after = ""
    while True:
        page = facts.list(KIND, after=after, limit=_PAGE)
        for fact in page:
            entry = _entry(fact)
            if entry is not None and _is_meant(entry, arguments) and _has_key(fact, entry, arguments, hidden):
                yield fact, entry
        if len(page) < _PAGE:
            return
        after = page[-1].key


def _entry(fact: Fact) -> Entry | None:
    try:
        return decode_entry(fact.value)
    except msgspec.DecodeError:
        return None  # of a later release


def _is_meant(entry: Entry, arguments: argparse.Namespace) -> bool:
    if arguments.flow is not None and entry.flow != arguments.flow:
        return False
    return arguments.task is None or entry.task == arguments.task


def _has_key(fact: Fact, entry: Entry, arguments: argparse.Namespace, hidden: tuple[str, ...]) -> bool:
    if arguments.key is None or entry.key in (arguments.key, msgspec.json.encode(arguments.key).decode()):
        return True
    return bool(hidden) and fact.key.endswith(hidden)


def _hidden_names(text: str, store: str | None) -> Iterator[str]:
    """Yield what the names of outputs end in whose key is one that is hidden; nothing where no key encrypts."""
    workspace = workspace_at(Path.cwd(), store)
    encryption = Encryption(key_file(workspace.project, workspace.config), os.environ)
    try:
        keys = encryption.keys("")
    except EncryptionKeyMissing:
        return
    for value in _meanings(text):
        for digest in keys.digests(encoded_key(value)):
            for sensitive in (True, False):
                yield "/" + hidden_name(digest, sensitive=sensitive)


def _meanings(text: str) -> list[Any]:
    """Return what a key on the command line may be: the text itself, and what it says as JSON."""
    try:
        return [text, msgspec.json.decode(text)]
    except msgspec.DecodeError:
        return [text]
