"""Diagnostics as data: one object each, in a shape that does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.diagnostics import Diagnostic


def render_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return diagnostics as plain mappings; lines and columns count from 1, the end is exclusive."""
    return [
        {
            "code": diagnostic.code,
            "severity": diagnostic.severity,
            "message": diagnostic.what,
            "hints": list(diagnostic.hints),
            "file": diagnostic.at.file,
            "line": diagnostic.at.line,
            "column": diagnostic.at.column,
            "end_line": diagnostic.at.end_line,
            "end_column": diagnostic.at.end_column,
        }
        for diagnostic in diagnostics
    ]
