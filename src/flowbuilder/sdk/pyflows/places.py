"""Where something stands in the author's Python: found from the frame that called us.

Taking a place costs a microsecond; lines, columns and the places of single
arguments are worked out when a diagnostic asks for them.
"""

from __future__ import annotations

import ast
import functools
import itertools
import linecache
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

import msgspec

from flowbuilder.core.span import Span

_OWN: Final = str(Path(__file__).parents[2]) + os.sep
"""The folder of this package: frames of it are not the author's."""


class Place(msgspec.Struct, frozen=True):
    """A stretch of Python: what a frame was doing, or one argument of the call that it was doing."""

    code: CodeType
    at: int
    """Index of the instruction; -1 for the first line of the code."""
    argument: str | int | None = None
    """Of a call: the argument with this name, or at this place; of a function: the parameter."""

    def of_argument(self, argument: str | int) -> Place:
        """Return the place of one argument of this call; the call's where it cannot be found."""
        return Place(self.code, self.at, argument)

    @property
    def file(self) -> str:
        """The file as Python calls it."""
        return self.code.co_filename

    def span(self) -> Span:
        """Return the place as diagnostics show it, the file as seen from the current folder."""
        first, last, start, end = _position(self.code, self.at)
        lines = linecache.getlines(self.file)
        shown = shown_file(self.file)
        if self.argument is not None:
            text = "".join(lines)
            if self.at < 0:
                found = _parameter(text, self.code.co_name, first, str(self.argument))
            else:
                found = _argument(text, (first, last, start, end), self.argument)
            if found is not None:
                first, last, start, end = found
        if start is None or end is None:
            text = _line(lines, first)
            return Span(
                shown, first, len(text) - len(text.lstrip()) + 1, first, max(2, len(text.rstrip()) + 1)
            )
        return Span(shown, first, column(lines, first, start), last, column(lines, last, end))


def here() -> Place:
    """Return what the author's code is doing that has led to us."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    if frame is None:
        frame = sys._getframe(0)
    return Place(frame.f_code, frame.f_lasti)


def of_function(function: Callable[..., Any]) -> Place:
    """Return the first line of a function."""
    return Place(function.__code__, -1)


def of_traceback(traceback: TracebackType | None, code: CodeType) -> Place:
    """Return where an exception came from: the innermost frame in the file of `code`, or `code` itself."""
    found = Place(code, -1)
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == code.co_filename:
            found = Place(traceback.tb_frame.f_code, traceback.tb_lasti)
        traceback = traceback.tb_next
    return found


def shown_file(file: str) -> str:
    """Return a file's path as seen from the current folder, where it is below it."""
    here = os.getcwd() + os.sep
    return file.removeprefix(here) if file.startswith(here) else file


def _position(code: CodeType, at: int) -> tuple[int, int, int | None, int | None]:
    """Return first line, last line, first column and last column (in bytes, from 0) of an instruction."""
    if at >= 0:
        line, end, start, stop = next(itertools.islice(code.co_positions(), at // 2, None), (None,) * 4)
        if line is not None:
            return line, end or line, start, stop
    return code.co_firstlineno, code.co_firstlineno, None, None


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""


def column(lines: list[str], number: int, byte: int) -> int:
    """Return the column, in characters from 1, of a byte of a line."""
    return len(_line(lines, number).encode()[:byte].decode(errors="ignore")) + 1


@functools.lru_cache(maxsize=64)
def _calls(text: str) -> dict[tuple[int, int, int, int], ast.Call]:
    """Return all calls of a source text, by where they stand."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return {
        (node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0): node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


def _argument(
    text: str, call: tuple[int, int, int | None, int | None], argument: str | int
) -> tuple[int, int, int | None, int | None] | None:
    node = _calls(text).get(call)  # type: ignore[arg-type]
    if node is None:
        return None
    part: ast.expr | ast.keyword | None
    if isinstance(argument, int):
        part = node.args[argument] if argument < len(node.args) else None
    else:
        part = next((word for word in node.keywords if word.arg == argument), None)
    if part is None:
        return None
    return part.lineno, part.end_lineno or part.lineno, part.col_offset, part.end_col_offset


@functools.lru_cache(maxsize=256)
def _parameter(
    text: str, function: str, line: int, name: str
) -> tuple[int, int, int | None, int | None] | None:
    """Return where a parameter of a function stands whose first line, with its decorators, is `line`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name != function:
            continue
        if min([node.lineno, *(each.lineno for each in node.decorator_list)]) != line:
            continue
        all_of = [
            *node.args.posonlyargs,
            *node.args.args,
            *node.args.kwonlyargs,
            node.args.vararg,
            node.args.kwarg,
        ]
        found = next((each for each in all_of if each is not None and each.arg == name), None)
        if found is not None:
            return found.lineno, found.end_lineno or found.lineno, found.col_offset, found.end_col_offset
    return None
