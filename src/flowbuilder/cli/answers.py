"""What a command that does one thing says of it: one object for programs, or words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def answer(arguments: argparse.Namespace, found: Mapping[str, Any], *said: str, text: str = "") -> int:
    """Print what was done, and return the exit code.

    Args:
        arguments: with `json`, the object is printed, and nothing is said.
        found: the object; its shape is stable, and stands in `docs/reference/json.md`.
        said: lines for people.
        text: what scripts read without `--json`, such as an id.
    """
    if arguments.json:
        data(as_json(dict(found)))
        return DONE
    if text:
        data(text)
    for line in said:
        say(line)
    return DONE
