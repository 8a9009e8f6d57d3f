"""Flows in other languages: a plug-in's front end makes the text of a flow of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowBuilderError, FlowError
from flowbuilder.core.span import Span


class FlowText(msgspec.Struct, frozen=True):
    """The text of a flow, made of a file in another language."""

    text: str
    """YAML, or JSON."""
    locate: Callable[[int, int], tuple[int, int] | None] | None = None
    """Returns line and column in the file of a line and column in the text, both counted from 1."""

    def placed(self, found: Iterable[Diagnostic], file: str) -> tuple[Diagnostic, ...]:
        """Return findings at the places in the file, as far as they are known."""
        return tuple(self._placed(each, file) for each in found)

    def _placed(self, found: Diagnostic, file: str) -> Diagnostic:
        if found.at.file != file or self.locate is None:
            return found
        line, column = self.locate(found.at.line, found.at.column) or (1, 1)
        return msgspec.structs.replace(found, at=Span(file, line, column, line, column + 1))


class FrontEnd(Protocol):
    """Reads flows that are written in another language; its name is the suffix of their files."""

    def read(self, path: Path) -> FlowText | str:
        """Return the flow's text; whatever it raises is reported as what is wrong with the file."""
        ...


def translated(path: Path, front_end: Any) -> FlowText:
    """Return the text that a front end makes of a file.

    Raises:
        FlowError: it cannot read the file.
    """
    try:
        read = front_end.read(path)
    except FlowBuilderError:
        raise
    except Exception as error:  # a plug-in may raise anything
        what = " ".join(str(error).split())[:500] or type(error).__name__
        line = getattr(error, "lineno", None) or getattr(error, "line", None)
        at = line if isinstance(line, int) and line > 0 else 1
        found = Diagnostic("FB101", f"the file cannot be read: {what}", Span(str(path), at, 1, at, 2))
        raise FlowError((found,)) from error
    return read if isinstance(read, FlowText) else FlowText(str(read))
