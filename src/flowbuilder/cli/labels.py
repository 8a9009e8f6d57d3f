"""Labels on the command line: `--label team=reports`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import Option
from flowbuilder.cli.parsing import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def label_option(help: str) -> Option:
    """Return the option that takes a label, any number of times."""
    return Option(("--label", "-l"), help, "NAME=VALUE", repeated=True)


def read_labels(pairs: Iterable[str], command: str) -> dict[str, str]:
    """Return labels by name; the last of a name wins.

    Raises:
        UsageError: for a pair without a name, or without `=`.
    """
    labels: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"'{pair}' is no label: write NAME=VALUE", command)
        labels[name] = value
    return labels


def as_text(labels: dict[str, str]) -> str:
    """Return labels as one line, in the order of their names."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
