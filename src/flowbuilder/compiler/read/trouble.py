"""What to say when the file is no YAML: what stands there, what YAML made of it, what to write.

libyaml's own words are for people who know its scanner; most of the time the
cause is an expression, a shell line or a pattern that needed quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowbuilder.compiler.read.quoting import end_of_expression, mark_braces, quote_expressions, quote_value

if TYPE_CHECKING:
    from yaml.error import MarkedYAMLError
    from yaml.reader import ReaderError

    from flowbuilder.compiler.findings import Findings
    from flowbuilder.compiler.read.source import Source
    from flowbuilder.core.span import Span

_BRACES = re.compile(r"(?<!\$)\{\{(?!\s*\})")
_KEY_VALUE = re.compile(r"\s*(?:- +)*[A-Za-z0-9_.-]+: +(?=\S)")


def explain(error: MarkedYAMLError, source: Source, findings: Findings) -> bool:
    """Report a syntax error of libyaml where its cause stands.

    Returns:
        Whether the line could be put right: it is then replaced in `source`,
        so that what is wrong behind it can be found too.
    """
    mark = error.problem_mark or error.context_mark
    index = mark.index if mark else 0
    number, column = source.position(index)
    # an error is often noticed at the start of the line that follows
    number, line = _cause(source, number, column, error)
    problem = (error.problem or error.context or "it cannot be read").strip()
    if braces := _BRACES.search(line):
        better = mark_braces(line, braces.start())
        if better:
            findings.error(
                "FB102",
                "'{{ … }}' is a mapping to YAML, not an expression",
                _on(source, number, braces.start(), end_of_expression(line, braces.start() - 1)),
                f"did you mean: {better}",
            )
            return _repair(source, number, line, better)
    if "unknown escape" in problem:
        findings.error(
            "FB116",
            "in double quotes YAML takes a backslash for the start of an escape, and does not know this one",
            source.span(index, index + 1),
            "write the text in single quotes, or behind `>-`",
        )
        return False
    if "${{" in line and (better := quote_expressions(line)):
        start = line.index("${{")
        findings.error(
            "FB103",
            "YAML takes this expression apart: the value needs quotes",
            _on(source, number, start, end_of_expression(line, start)),
            f"write: {better}",
        )
        return _repair(source, number, line, better)
    if "quoted scalar" in (error.context or "") and error.context_mark is not None:
        begin = error.context_mark.index
        findings.error("FB101", "this quote is never closed", source.span(begin, begin + 1))
        return False
    findings.error(
        "FB101",
        f"this cannot be read as YAML: {problem}",
        source.span(index, index + 1),
        *_hints(line, problem),
    )
    return False


def _repair(source: Source, number: int, line: str, better: str) -> bool:
    """Put a better line in the place of one, with its indentation; False if it is the same."""
    indented = line[: len(line) - len(line.lstrip())] + better
    if indented == line:
        return False
    source.replace_line(number, indented)
    return True


def _cause(source: Source, number: int, column: int, error: MarkedYAMLError) -> tuple[int, str]:
    line = source.line(number)
    if _suspicious(line):
        return number, line
    if error.context_mark is not None:
        earlier = source.position(error.context_mark.index)[0]
        if _suspicious(source.line(earlier)):
            return earlier, source.line(earlier)
    if (
        number > 1
        and (column == 1 or not line[: column - 1].strip())
        and _suspicious(source.line(number - 1))
    ):
        return number - 1, source.line(number - 1)
    return number, line


def _suspicious(line: str) -> bool:
    return "${{" in line or bool(_BRACES.search(line))


def _on(source: Source, line: int, start: int, end: int) -> Span:
    base = source.index(line, 1)
    return source.span(base + start, base + end)


def _hints(line: str, problem: str) -> list[str]:
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return ["indent with spaces: YAML takes no tabs"]
    value = line[lead.end() :] if (lead := _KEY_VALUE.match(line)) else line.strip()
    better = quote_value(line)
    if value.startswith("!"):
        return ["write `not x` to negate, or quote the text"]
    if value[:1] in "*&%@`" and better:
        return [f"a text that begins with '{value[0]}' needs quotes: {better}"]
    if "mapping values are not allowed" in problem:
        if re.match(r"\s*run:", line) or re.match(r"\s*command:", line):
            return ["`: ` inside of a script needs a block: write `run: |` and the script on the next lines"]
        return [f"`: ` inside of a text needs quotes: {better}"] if better else []
    if value[:1] in "'\"" and better is None and "expected" in problem:
        return ["the value goes on behind its closing quote: put quotes around the whole of it, or `${{ }}`"]
    if "expected ',' or" in problem:
        return ["a bracket or a comma is missing, or a text with one of them needs quotes"]
    return []


def explain_character(error: ReaderError, source: Source, findings: Findings) -> None:
    """Report a character that YAML does not allow, such as a NUL."""
    code = error.character if isinstance(error.character, int) else 0
    index = _index_of_byte(source.text, error.position)
    shown = f"U+{code:04X}" if code else "this character"
    findings.error(
        "FB101",
        f"{shown} may not stand in YAML",
        source.span(index, index + 1),
        "in double quotes it can be written as an escape",
    )


def _index_of_byte(text: str, position: int) -> int:
    """Libyaml counts bytes, we count characters."""
    return len(text.encode()[: max(position, 0)].decode(errors="ignore"))
