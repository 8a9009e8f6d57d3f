"""The examples, copied to a folder of their own: running them leaves nothing behind in the repository."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("out", "__pycache__"))
    (folder / ".flowbuilder").mkdir()
    return folder
