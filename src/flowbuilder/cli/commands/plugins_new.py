"""`flowbuilder plugins new`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import JSON, Argument, Command, Option
from flowbuilder.cli.parsing import UsageError

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="plugins new",
    summary="Make a package with a task type, its test and its page",
    description=(
        "The package is complete: it can be installed, tested, checked and published as it is. A task type "
        "for one project only needs no package: a file in the project's `plugins` folder will do."
    ),
    arguments=(Argument("NAME", "The task type's name: small letters, digits, '-' and '_'"),),
    options=(
        Option(
            ("--folder",),
            "Where the package goes; `flowbuilder-NAME` here unless given",
            "FOLDER",
            takes="folder",
        ),
        JSON,
    ),
    examples=(("A task type that is called `greet`", "flowbuilder plugins new greet"),),
)

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def run(arguments: argparse.Namespace) -> int:
    """Write the package."""
    from flowbuilder.cli.plugin_template import files_of  # start-up time: help needs no template
    from flowbuilder.tasks.catalogue import CATALOGUE

    name = arguments.name
    if not _NAME.fullmatch(name) or len(name) > 40:
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:40]
        raise UsageError(
            f"'{name}' is no name for a task type: small letters, digits, '-' and '_', the first a letter",
            "plugins new",
            f"write '{better}'" if better else "",
        )
    if name in CATALOGUE:
        raise UsageError(
            f"the task type '{name}' comes with the engine", "plugins new", "choose another name"
        )
    folder = Path(arguments.folder or f"flowbuilder-{name.replace('_', '-')}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"'{folder}' is there already", "plugins new", "give another place with --folder")
    made: list[str] = []
    for path, text in files_of(name).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        made.append(str(file))
    try_it = f"  try it: cd {folder} && pip install -e '.[dev]' && pytest && flowbuilder plugins check {name}"
    found = {"name": name, "folder": str(folder), "files": made}
    return answer(arguments, found, try_it, text="\n".join(made))
