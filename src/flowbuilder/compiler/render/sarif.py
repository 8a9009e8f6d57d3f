"""Diagnostics as SARIF, which code hosts and editors show beside the text.

Source:
    Static Analysis Results Interchange Format (SARIF) Version 2.1.0, OASIS.
"""

from __future__ import annotations

import urllib.parse
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.diagnostics import Diagnostic


def render_sarif(diagnostics: Iterable[Diagnostic], version: str) -> dict[str, Any]:
    """Return diagnostics as a SARIF log of one run.

    Args:
        diagnostics: of all files looked at; none makes a log that says so.
        version: FlowBuilder's own.
    """
    found = list(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    rules = {code: number for number, code in enumerate(codes)}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "flowbuilder",
                        "version": version,
                        "rules": [
                            {"id": code, "shortDescription": {"text": CODES.get(code, code)}}
                            for code in codes
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(diagnostic, rules[diagnostic.code]) for diagnostic in found],
            }
        ],
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    at = diagnostic.at
    text = "\n".join([diagnostic.what, *diagnostic.hints])
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(at.file)},
                    "region": {
                        "startLine": at.line,
                        "startColumn": at.column,
                        "endLine": at.end_line,
                        "endColumn": at.end_column,
                    },
                }
            }
        ],
    }


def _uri(file: str) -> str:
    """Return a file's name as a URI: relative as it is, absolute with a scheme."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else urllib.parse.quote(path.as_posix())
