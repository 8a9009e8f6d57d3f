"""A command line in a project of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    (tmp_path / ".flowbuilder").mkdir()
    made = Cli(tmp_path)
    yield made
    made.end()
