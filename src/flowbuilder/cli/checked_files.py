"""The files that `flowbuilder validate` checks: those that are named, and what lies in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.core.errors import NotFound
from flowbuilder.triggers.flow_files import OF_TESTS, is_candidate, is_flow, is_skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def files_of(names: Sequence[str]) -> list[str]:
    """Return the files that are meant, each once: a folder stands for the flows and the tests below it.

    Raises:
        NotFound: a folder holds neither.
    """
    found: dict[str, None] = {}
    for name in names:
        if not os.path.isdir(name):
            found[name] = None
            continue
        inside = [str(path) for path in _below(Path(name))]
        if not inside:
            hint = "a file is a flow if it has the key `flow`, and holds tests if it is named *.test.yaml"
            raise NotFound("flow", name, hint)
        found |= dict.fromkeys(inside)
    return list(found)


def is_of_tests(file: Path) -> bool:
    """Tell whether a file holds tests of flows."""
    return file.name.endswith(OF_TESTS)


def _below(root: Path) -> Iterator[Path]:
    """Yield flows and files of tests, in the order of their names; what else lies there is none of ours."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_skipped(name))
        for name in sorted(files):
            path = Path(folder, name)
            if is_of_tests(path) or _holds_flows(path):
                yield path


def _holds_flows(path: Path) -> bool:
    if path.suffix != ".py":
        return is_candidate(path.name) and is_flow(path, path.read_bytes())
    from flowbuilder.sdk.pyflows.files import PythonFiles  # start-up time: most folders have no Python

    python = PythonFiles()
    return python.is_candidate(path.name) and python.is_flow(path, path.read_bytes())
