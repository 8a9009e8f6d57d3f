"""What is wrong with a flow in Python, as diagnostics at the Python line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowError

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.places import Place


def diagnostic(code: str, what: str, place: Place, *hints: str) -> Diagnostic:
    """Return a finding at a place in Python."""
    return Diagnostic(code, what, place.span(), tuple(hint for hint in hints if hint))


def wrong(code: str, what: str, place: Place, *hints: str) -> FlowError:
    """Return an error with one finding; its notes say how to put it right, also in a plain traceback."""
    return as_error([diagnostic(code, what, place, *hints)])


def as_error(found: list[Diagnostic]) -> FlowError:
    """Return an error with findings."""
    error = FlowError(found)
    for each in found:
        for hint in each.hints:
            error.add_note(f"= {hint}")
    return error
