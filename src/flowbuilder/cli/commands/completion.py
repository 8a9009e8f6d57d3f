"""`flowbuilder completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import Argument, Command
from flowbuilder.cli.completion import SHELLS, script_for
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.terminal import data

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="completion",
    summary="Print a completion script for a shell",
    arguments=(Argument("SHELL", "The shell that reads it", choices=SHELLS),),
    examples=(
        ("For bash, in ~/.bashrc", 'eval "$(flowbuilder completion bash)"'),
        ("For zsh, in ~/.zshrc after compinit", 'eval "$(flowbuilder completion zsh)"'),
        ("For fish", "flowbuilder completion fish > ~/.config/fish/completions/flowbuilder.fish"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    data(script_for(arguments.shell))
    return DONE
