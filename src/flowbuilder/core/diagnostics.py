"""One finding about a flow: a value that is rendered only at the edge."""

from __future__ import annotations

from typing import Literal

import msgspec

from flowbuilder.core.span import Span

Severity = Literal["error", "warning"]


class Diagnostic(msgspec.Struct, frozen=True):
    """One thing wrong with a flow: what, where, and how to put it right.

    Args:
        code: stable and documented, such as `FB203`.
        what: one sentence without a full stop; names stand in single quotes.
        at: the words that it is about.
        hints: how to put it right, the most likely first.
        severity: an error keeps the flow from running; a warning does not.
    """

    code: str
    what: str
    at: Span
    hints: tuple[str, ...] = ()
    severity: Severity = "error"
