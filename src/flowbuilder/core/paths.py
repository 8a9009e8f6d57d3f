"""The paths of tasks, taken apart (`core.records` says how they are written)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

MARKS: Final = ".[#!@~"
"""What may stand behind a task's path in the paths of what belongs to it."""
_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Step(NamedTuple):
    """A task on the way to what a path names, and which element of it."""

    id: str
    element: str | None = None
    """As it stands in paths: `3`, `"de"`."""


def parse(path: str) -> list[Step]:
    """Return the tasks on the way to a task as people name it: `build.compile`, `enrich[3].fetch`.

    A key of a mapping may stand without its quotes.

    Raises:
        ValueError: says what such a path may look like.
    """
    steps: list[Step] = []
    place = 0
    while True:
        found = _ID.match(path, place)
        if found is None:
            raise ValueError(f"'{path}' is no task: write it as fetch, build.compile or enrich[3]")
        place = found.end()
        element = None
        if path[place : place + 1] == "[":
            end = element_end(path, place)
            element = _element(path[place + 1 : end - 1])
            place = end
        steps.append(Step(found[0], element))
        if place == len(path):
            return steps
        if path[place] != ".":
            raise ValueError(f"'{path}' is no task: attempts and rounds (# and @) cannot be named here")
        place += 1


def element_end(path: str, start: int) -> int:
    """Return where the brackets end that open at a place; the end of the path where they do not."""
    place = start + 1
    if path[place : place + 1] == '"':
        place += 1
        while place < len(path) and path[place] != '"':
            place += 2 if path[place] == "\\" else 1
    end = path.find("]", place)
    return len(path) if end < 0 else end + 1


def _element(text: str) -> str:
    if text.isdecimal() or text.startswith('"'):
        return text
    return msgspec.json.encode(text).decode()


def is_within(path: str, outer: str) -> bool:
    """Tell whether a path names a task, or what belongs to it.

    Example:
        >>> is_within("build.compile", "build"), is_within("builder", "build")
        (True, False)
    """
    return path.startswith(outer) and (len(path) == len(outer) or path[len(outer)] in MARKS)
