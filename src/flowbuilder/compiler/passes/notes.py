"""What a pass has to say of what it did: shown by EXPLAIN, and as warnings."""

from __future__ import annotations

from typing import Final

import msgspec

from flowbuilder.compiler.ir import Flow
from flowbuilder.core.diagnostics import Diagnostic

MUST_FAIL: Final = "FB320"
"""The code of the warning about a constant expression that fails."""


class Note(msgspec.Struct, frozen=True):
    """One thing that a pass did, or found and left as it is."""

    by: str
    """The name of the pass."""
    what: str
    """A clause with a verb, such as `folded 60 * 60 to 3600`."""
    path: str = ""
    """The task that it is about; empty where it is about the flow."""
    warning: Diagnostic | None = None
    """Where the author should hear of it: an expression that must fail when it is evaluated."""


class Rewritten(msgspec.Struct, frozen=True):
    """A flow as a pass leaves it, and what the pass did."""

    flow: Flow
    notes: tuple[Note, ...] = ()
