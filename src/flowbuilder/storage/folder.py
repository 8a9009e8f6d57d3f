"""The folder that a store lies in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

OWN: Final = ".flowbuilder"
"""What a project's folder of ours is called."""


def make_folder(folder: Path) -> None:
    """Make the folder of a store where it is missing; a project's own is kept out of its repository.

    Raises:
        OSError: it cannot be made.
    """
    if folder.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if folder.name == OWN:
        (folder / ".gitignore").write_text("*\n")  # runs, and maybe secrets: nothing for others
