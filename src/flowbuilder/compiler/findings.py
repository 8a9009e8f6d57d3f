"""What the compiler finds about a flow, gathered so that one pass reports all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.span import Span

MOST_ERRORS = 1000
"""More findings than this help nobody, and a file of a megabyte can hold a hundred thousand."""


class Findings:
    """Diagnostics in the order found; the same one twice counts once.

    A value that is written once may be looked at often: through an alias, or
    as a default of many tasks.
    """

    __slots__ = ("_found", "errors", "near_misses", "near_work")

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}
        self.errors = 0
        self.near_misses = 100
        """How many more near misses may be looked for."""
        self.near_work = 2_000_000
        """How much that may cost yet: characters of one name times those of the other, for each pair."""

    def error(self, code: str, what: str, at: Span, *hints: str) -> None:
        """Report something that keeps the flow from running."""
        self.add(Diagnostic(code, what, at, tuple(hint for hint in hints if hint)))

    def warn(self, code: str, what: str, at: Span, *hints: str) -> None:
        """Report something that the author probably did not mean."""
        self.add(Diagnostic(code, what, at, tuple(hint for hint in hints if hint), "warning"))

    def add(self, diagnostic: Diagnostic) -> None:
        """Report a diagnostic, unless there are too many or it is known."""
        if diagnostic in self._found or len(self._found) >= MOST_ERRORS:
            return
        self._found[diagnostic] = None
        self.errors += diagnostic.severity == "error"

    def pays_for(self, name: str, candidate: str) -> bool:
        """Tell whether two names may be compared, which takes up to 0.2 µs a pair of characters."""
        self.near_work -= len(name) * len(candidate)
        return self.near_work >= 0

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Report several diagnostics."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken, so that there is no point in looking further."""
        return len(self._found) >= MOST_ERRORS

    @property
    def found(self) -> list[Diagnostic]:
        """All diagnostics in the order found."""
        return list(self._found)

    def ordered(self, files: Iterable[str]) -> tuple[Diagnostic, ...]:
        """Return all diagnostics, file by file in the order given, each from top to bottom."""
        rank = {file: number for number, file in enumerate(files)}

        def place(d: Diagnostic) -> tuple[int, int, int, str]:
            return (rank.get(d.at.file, len(rank)), d.at.line, d.at.column, d.code)

        return tuple(sorted(self._found, key=place))
