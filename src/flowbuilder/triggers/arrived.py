"""The files of a pattern, as they are now."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

Identity = tuple[int, int]
"""A file's time of change in nanoseconds, and its size."""

_DEEPEST: Final = 64
"""Folders inside of each other that `**` goes through."""


def files_of(pattern: str) -> dict[str, Identity]:
    """Return the files of a pattern; those whose names are no texts are left out.

    `*`, `?` and `[…]` stand for parts of a name, `**` for any number of
    folders; names that begin with a dot must be asked for.  Links are gone
    through, but not round and round.
    """
    parts = Path(pattern).parts
    found: dict[str, Identity] = {}
    for path in _matching(parts[0], parts[1:], ()):
        try:
            path.encode()
            state = os.stat(path)
        except (OSError, UnicodeEncodeError):
            continue
        if os.path.isfile(path):
            found[path] = (state.st_mtime_ns, state.st_size)
    return found


def _matching(folder: str, parts: tuple[str, ...], through: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Yield what a pattern finds below a folder.

    Args:
        folder: where it begins.
        parts: what is left of the pattern.
        through: the folders on the way, since `**`.
    """
    first, rest = parts[0], parts[1:]
    if first == "**":
        through = through or _which(folder)
        yield from _matching(folder, rest, through)
        for inner in _folders_in(folder):
            which = _which(inner)
            if which and which[0] not in through and len(through) < _DEEPEST:
                yield from _matching(inner, parts, (*through, *which))
    elif not glob.has_magic(first):
        path = os.path.join(folder, first)
        if rest:
            yield from _matching(path, rest, through)
        elif os.path.lexists(path):
            yield path
    else:
        fits = re.compile(fnmatch.translate(first)).match
        for name in _names_in(folder):
            if fits(name) and (first.startswith(".") or not name.startswith(".")):
                path = os.path.join(folder, name)
                if not rest:
                    yield path
                elif os.path.isdir(path):
                    yield from _matching(path, rest, through)


def _folders_in(folder: str) -> Iterator[str]:
    """Yield the folders in one, but for hidden ones."""
    for name in _names_in(folder):
        path = os.path.join(folder, name)
        if not name.startswith(".") and os.path.isdir(path):
            yield path


def _which(folder: str) -> tuple[tuple[int, int], ...]:
    """Return which folder it is, whatever it is called; empty where there is none."""
    try:
        state = os.stat(folder)
    except OSError:
        return ()
    return ((state.st_dev, state.st_ino),)


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
