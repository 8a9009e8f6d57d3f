"""Findings about a flow, shown where people look."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from flowbuilder.cli.terminal import is_rich, put, say
from flowbuilder.compiler.render import render_lines, render_text, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbuilder.compiler.render.text import Role
    from flowbuilder.core.diagnostics import Diagnostic

_COLOURS: Final[Mapping[Role, str]] = {
    "place": "1",
    "error": "1;31",
    "warning": "1;33",
    "message": "1",
    "gutter": "2;36",
    "source": "",
    "caret": "1;31",
    "hint": "36",
}


def show(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
    """Print findings on standard error, with how many there are."""
    write(diagnostics, texts_of(diagnostics) if sources is None else sources, sys.stderr)
    say(summary(diagnostics))


def write(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str], stream: TextIO) -> None:
    """Write findings on a stream, in colour where that is welcome."""
    if not is_rich(stream):
        put(render_text(diagnostics, sources), stream)
        return
    for line in render_lines(diagnostics, sources):
        coded = ((_COLOURS[piece.role], piece.text) for piece in line)
        put("".join(f"\x1b[{code}m{text}\x1b[0m" if code else text for code, text in coded) + "\n", stream)


def texts_of(diagnostics: Sequence[Diagnostic]) -> dict[str, str]:
    """Return the texts that findings are about, as far as they can be read."""
    texts = {}
    for file in {diagnostic.at.file for diagnostic in diagnostics}:
        try:
            texts[file] = Path(file).read_text("utf-8", errors="replace")
        except (OSError, ValueError):
            continue  # the finding is shown without its line
    return texts
