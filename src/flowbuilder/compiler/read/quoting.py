"""The line as it should have been written: with quotes around what YAML would take apart."""

from __future__ import annotations

import re

_MARK = "${{"
_LEAD = re.compile(r"\s*(?:- +)*(?:(?:[A-Za-z0-9_.-]+|'[^']*'|\"[^\"]*\"):(?: +|$))?")
"""What stands before the value of a line in block style."""


def quoted(value: str) -> str:
    """Return a value in quotes that YAML gives back unchanged."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "''") + "'"


def quote_whole(line: str, column: int) -> str:
    """Return the line with all from `column` (from 0) to its end in quotes.

    Args:
        line: the line as it stands in the file.
        column: where the value begins.
    """
    value = line[column:].rstrip()
    return (line[:column] + quoted(value)).strip()


def quote_value(line: str) -> str | None:
    """Return the line with its value in quotes as a whole, or None if there is nothing to quote."""
    lead = _LEAD.match(line)
    column = lead.end() if lead else 0
    if column >= len(line.rstrip()) or line[column] in "'\"|>":
        return None
    return quote_whole(line, column)


def quote_expressions(line: str) -> str | None:
    """Return the line with each unquoted value that holds an expression in quotes, or None.

    In block style a value goes to the line's end; in flow style to the next
    comma or bracket outside of `${{ }}`.

    Example:
        >>> quote_expressions("with: {url: ${{ vars.base }}/a, n: 1}")
        "with: {url: '${{ vars.base }}/a', n: 1}"
    """
    lead = _LEAD.match(line)
    start = lead.end() if lead else 0
    if line[start : start + 1] not in ("{", "["):
        return quote_value(line) if _MARK in line[start:] else None
    out, at = "", 0
    while (mark := line.find(_MARK, at)) >= 0:
        begin = _begin(line, at, mark)
        if line[begin] in "'\"":
            end = _end_of_quoted(line, begin)
            out += line[at:end]
        else:
            end = _end(line, mark)
            value = line[begin:end].rstrip()
            out += line[at:begin] + quoted(value) + line[begin + len(value) : end]
        at = end
    out += line[at:]
    return out.strip() if out != line else None


def mark_braces(line: str, at: int) -> str | None:
    """Return the line with `{{ x }}` at `at` made an expression; in a condition the marks are left out."""
    lead = _LEAD.match(line)
    if lead and lead.end() == at and lead[0].strip().lstrip("- ") in ("if:", "when:"):
        bare = " ".join(line[at:].replace("{{", " ").replace("}}", " ").split())
        return (
            lead[0] + (quoted(bare) if ": " in bare or " #" in bare or bare[0] in "'\"" else bare)
        ).strip()
    return quote_expressions(line[:at] + "$" + line[at:])


def _begin(line: str, at: int, mark: int) -> int:
    """Return where the value begins that the mark stands in."""
    before = line[at:mark]
    cut = max(before.rfind(", "), before.rfind(": "), before.rfind("["), before.rfind("{"), -1) + 1
    while cut < len(before) and before[cut] == " ":
        cut += 1
    return at + cut


def _end_of_quoted(line: str, at: int) -> int:
    end = line.find(line[at], at + 1)
    return len(line) if end < 0 else end + 1


def _end(line: str, at: int) -> int:
    """Return where a value of flow style ends, had its expressions been understood."""
    while at < len(line):
        if line.startswith(_MARK, at):
            at = end_of_expression(line, at)
        elif line[at] in ",]}":
            break
        else:
            at += 1
    return at


def end_of_expression(line: str, at: int) -> int:
    """Return the index behind the `}}` of the expression that begins at `at`, or the line's length."""
    at += len(_MARK)
    depth = 0
    while at < len(line):
        character = line[at]
        if character in "'\"":
            at = _end_of_quoted(line, at)
            continue
        if character in "([{":
            depth += 1
        elif character in ")]}":
            if depth == 0 and line.startswith("}}", at):
                return at + 2
            depth -= depth > 0
        at += 1
    return len(line)
