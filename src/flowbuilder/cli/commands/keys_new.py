"""`flowbuilder keys new`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import QUIET, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.terminal import data, say
from flowbuilder.runtime.encryption import VARIABLE, new_key

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="keys new",
    summary="Print a new key for what is sensitive",
    description=(
        f"Keep it where nobody else can read it, and give it to engines as {VARIABLE}, or in the file that "
        "`encryption.key_file` names. To replace a key, put the new one in front of the old: the first encrypts, "
        "all of them decrypt. What was encrypted by a key that is lost is lost."
    ),
    options=(QUIET,),
    examples=(
        ("A file of keys", "(umask 077; flowbuilder keys new > .flowbuilder/keys)"),
        ("A key for this shell", f'export {VARIABLE}="$(flowbuilder keys new)"'),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the key."""
    data(new_key())
    if not arguments.quiet:
        say(f"keep it secret: in {VARIABLE}, or in a file that `encryption.key_file` names")
    return DONE
