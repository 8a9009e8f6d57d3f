"""What a task yields, held against the schema that its author wrote for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.inputs import make_validator
from flowbuilder.core.values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST: Final = 20
"""Violations that are told; who has broken a schema in a thousand places learns nothing from the rest."""


def output_checker(schema: Mapping[str, Any]) -> Callable[[Any], list[str]]:
    """Return what finds the violations of an output, each as `$.path: what is wrong`.

    Dates, datetimes and durations are looked at as the texts that JSON has
    for them, bytes as base64.
    """
    validator = make_validator(schema)

    def check(value: Any) -> list[str]:
        shown = to_json(value)
        if validator.is_valid(shown):
            return []
        found: list[str] = []
        for error in validator.iter_errors(shown):
            if len(found) == MOST:
                found.append("and more")
                break
            path = "".join(f"[{step}]" if type(step) is int else f".{step}" for step in error.instance_path)
            found.append(f"${path}: {_about(error)}")
        return found

    return check


def _about(error: Any) -> str:
    """Return what is wrong, without the value where that is long: it may be megabytes."""
    message: str = error.message
    if len(message) > 300:
        return message[:120] + " … " + message[-170:]
    return message
