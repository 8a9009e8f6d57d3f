"""Finds files of tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX: Final = ".test.yaml"
"""What the name of a file of tests ends in."""


def find_suites(paths: list[Path]) -> Iterator[Path]:
    """Yield the files of tests that are named, or lie in folders that are, in the order of their names.

    Raises:
        NotFound: there is no such path.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found = sorted(each for each in path.rglob("*" + SUFFIX) if not _hidden(each, path))
        elif path.is_file():
            found = [path] if path.name.endswith(SUFFIX) else _beside(path)
        elif (module := _module_of(path)) is not None:
            found = _beside(module)
        else:
            raise NotFound("file or folder", str(path))
        for each in found:
            if each not in seen:
                seen.add(each)
                yield each


def _module_of(path: Path) -> Path | None:
    """Return the file of a flow in Python: of `flows.py:report`, or of `shop.flows:report` from the current folder on."""
    where, colon, _ = str(path).rpartition(":")
    if not colon:
        return None
    file = Path(where if where.endswith(".py") else where.replace(".", "/") + ".py")
    return file if file.is_file() else None


def _beside(flow: Path) -> list[Path]:
    """Return the tests of a flow that was named instead of them."""
    tests = flow.with_name(flow.stem + SUFFIX)
    if not tests.is_file():
        raise NotFound("test", str(flow), f"its tests would stand in {tests.name}")
    return [tests]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.relative_to(root).parts)
