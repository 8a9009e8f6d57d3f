"""Near misses: the right name for one that was mistyped."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.compiler.findings import Findings

_MOST_CANDIDATES = 100
_LONGEST = 100


def nearest(name: str, candidates: Iterable[str], findings: Findings | None = None) -> str:
    """Return `did you mean 'x'?`, or an empty text where nothing is near.

    Bounded: at most 100 candidates of at most 100 characters are compared,
    those that begin alike first, and only so often for one flow.
    """
    if len(name) > _LONGEST or (findings is not None and findings.near_misses <= 0):
        return ""
    if findings is not None:
        findings.near_misses -= 1
    fitting = [
        c for c in candidates if abs(len(c) - len(name)) <= max(3, len(name) // 2) and len(c) <= _LONGEST
    ]
    if len(fitting) > _MOST_CANDIDATES:
        fitting.sort(key=lambda c: c[:1].lower() != name[:1].lower())
    few = islice(fitting, _MOST_CANDIDATES)
    lowered = {c.lower(): c for c in few if findings is None or findings.pays_for(name, c)}
    import difflib  # start-up time: only for a misspelt name

    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean '{lowered[found[0]]}'?" if found else ""
