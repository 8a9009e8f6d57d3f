"""What the cache keeps, as commands choose among it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.cli.command import Option
from flowbuilder.core.cache import KIND, Entry, decode_entry

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
    """Yield what is kept and was asked for, in the order of its names."""
    after = ""
    while True:
        page = facts.list(KIND, after=after, limit=_PAGE)
        for fact in page:
            entry = _entry(fact)
            if entry is not None and _is_meant(entry, arguments):
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
    if arguments.task is not None and entry.task != arguments.task:
        return False
    return arguments.key is None or entry.key in (arguments.key, msgspec.json.encode(arguments.key).decode())
