"""Cuts the text of an expression into tokens.

Our own scanner, so that a flow means the same under every Python: names are
ASCII, an unknown escape stays as it is, a line break may stand in a text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from flowbuilder.compiler.expressions.codes import LITERAL, REFUSED, SYNTAX, TOO_LARGE, UNCLOSED
from flowbuilder.compiler.expressions.problems import problem

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Origin

MAX_CHARACTERS: Final = 10_000
"""Characters of one expression."""
MAX_DEPTH: Final = 32
"""Brackets and signs inside each other: what recurses over an expression is bounded by it."""
MAX_LINKS: Final = 200
"""Links of one chain, such as `a + b + …` or `a.b.c…`: a chain is a deep tree, too."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z_]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\]{},.:=|])
    |(?P<quote>['"])""",
    re.VERBOSE,
)
_STRING = {
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[\\'\"nrt])")
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_OPENING = {"(": ")", "[": "]", "{": "}"}
_BRACKETS = frozenset("()[]{}")

_INSTEAD: Final = {
    "&&": "write `and`",
    "||": "write `or`",
    "&": "there are no bit operators; write `and` between conditions",
    "^": "there are no bit operators; write `**` for a power",
    "~": "there are no bit operators",
    "!": "write `not`",
    "<<": "there are no bit operators; multiply by a power of 2",
    ">>": "there are no bit operators; divide by a power of 2 with `//`",
    ":=": "there is no assignment inside expressions; give the value a name in `vars` or in a `set` task",
    "->": "there are no function annotations",
    "`": "texts stand in single or double quotes",
    "?": "write `a if condition else b`",
    ";": "an expression is one value",
    "@": "there is no matrix product",
    "$": "inside `${{ }}` names stand alone",
    "\\": "an expression may go on in the next line without a mark",
    "#": "there are no comments inside an expression",
}


class Token(NamedTuple):
    """A piece of an expression: `kind` is `number`, `text`, `name`, `op` or `end`."""

    kind: str
    value: object
    start: int
    end: int


def scan(text: str, start: int, origin: Origin, *, closed: bool) -> tuple[list[Token], int]:
    """Return the tokens of an expression, and where it ends.

    Args:
        text: what it stands in.
        start: where it begins.
        origin: for diagnostics.
        closed: whether it ends at the first `}}` outside quotes and brackets;
            otherwise at the end of the text.

    Raises:
        ExpressionSyntaxError: for what is no token, and where the end is missing.
    """
    tokens: list[Token] = []
    open_brackets: list[tuple[str, int]] = []
    at = start
    length = len(text)
    match = _TOKEN.match
    while at < length:
        if at - start > MAX_CHARACTERS:
            raise _too_long(origin, start)
        found = match(text, at)
        if found is None:
            raise _no_token(text, at, origin)
        kind = found.lastgroup
        end = found.end()
        if kind == "op":
            mark = found[0]
            if closed and mark == "}" and not open_brackets and text.startswith("}}", at):
                tokens.append(Token("end", None, at, at + 2))
                return tokens, at + 2
            if mark in _BRACKETS:
                _pair(mark, at, open_brackets, origin)
            _refuse_doubled(text, at, end, origin)
            tokens.append(Token("op", mark, at, end))
        elif kind == "name":
            if end < length and text[end] in "'\"" and found[0].lower() in _PREFIXES:
                what = f"a text takes no prefix '{found[0]}'"
                raise problem(origin, REFUSED, at, end, what, _prefix_hint(found[0].lower()))
            tokens.append(Token("name", found[0], at, end))
        elif kind == "number":
            tokens.append(Token("number", _number(found[0], at, end, origin), at, end))
        elif kind == "quote":
            value, end = _text(text, at, origin)
            tokens.append(Token("text", value, at, end))
        at = end
    if closed:
        raise problem(
            origin,
            UNCLOSED,
            max(start - 3, 0),
            start,
            "this `${{` has no `}}`",
            *_unclosed_hints(open_brackets),
        )
    if open_brackets:
        opened, place = open_brackets[-1]
        raise problem(origin, SYNTAX, place, place + 1, f"'{opened}' is not closed")
    if length - start > MAX_CHARACTERS:
        raise _too_long(origin, start)
    tokens.append(Token("end", None, length, length))
    return tokens, length


def _pair(mark: str, at: int, open_brackets: list[tuple[str, int]], origin: Origin) -> None:
    """Take in a bracket: one that opens is open from here on, one that closes must fit the last of them."""
    if mark in _OPENING:
        if len(open_brackets) >= MAX_DEPTH:
            what = f"brackets are at most {MAX_DEPTH} deep"
            raise problem(origin, TOO_LARGE, at, at + 1, what, "name the inner part in `vars`")
        open_brackets.append((mark, at))
        return
    if not open_brackets:
        raise problem(origin, SYNTAX, at, at + 1, f"'{mark}' closes nothing")
    opened, place = open_brackets.pop()
    if _OPENING[opened] != mark:
        what = f"'{opened}' is closed by '{mark}'"
        raise problem(origin, SYNTAX, place, place + 1, what, f"write '{_OPENING[opened]}'")


def _too_long(origin: Origin, start: int) -> Exception:
    what = f"an expression has at most {MAX_CHARACTERS:,} characters"
    return problem(origin, TOO_LARGE, start, start + 1, what, "name parts of it in `vars` or in `set` tasks")


_PREFIXES = frozenset({"f", "r", "b", "u", "rb", "br", "fr", "rf"})


def _prefix_hint(prefix: str) -> str:
    if "f" in prefix:
        return "outside, write text with `${{ }}` in it; inside, join parts with `+`"
    return "an unknown escape such as `\\d` stays as it is, so no prefix is needed"


def _unclosed_hints(open_brackets: list[tuple[str, int]]) -> tuple[str, ...]:
    if open_brackets:
        return (f"'{open_brackets[-1][0]}' is not closed either",)
    return ("` #` starts a comment and `: ` a mapping in YAML: quote the value",)


def _refuse_doubled(text: str, at: int, end: int, origin: Origin) -> None:
    pair = text[at : at + 2]
    if pair in ("<<", ">>", "||", ":=", "->"):
        raise problem(origin, REFUSED, at, at + 2, f"there is no operator `{pair}`", _INSTEAD[pair])
    if text[at:end] in ("==", "!=") and text.startswith("=", end):
        what = f"there is no operator `{text[at:end]}=`"
        raise problem(origin, REFUSED, at, end + 1, what, f"write `{text[at:end]}`")


def _no_token(text: str, at: int, origin: Origin) -> Exception:
    character = text[at]
    pair = text[at : at + 2]
    if text.startswith("${{", at):
        what = "`${{` stands inside of an expression"
        return problem(origin, REFUSED, at, at + 3, what, "leave these marks out: names stand alone here")
    if pair in _INSTEAD:
        return problem(origin, REFUSED, at, at + 2, f"there is no operator `{pair}`", _INSTEAD[pair])
    if character.isascii() and character.isdigit():
        end = at
        while end < len(text) and (text[end].isalnum() or text[end] in "._"):
            end += 1
        what = f"'{text[at : min(end, at + 40)]}' is no number"
        hint = "numbers are written as `12`, `1.5` or `2e3`; a duration is a text: `duration('10s')`"
        return problem(origin, LITERAL, at, end, what, hint)
    if character in _INSTEAD:
        return problem(origin, REFUSED, at, at + 1, f"`{character}` means nothing here", _INSTEAD[character])
    if character.isalpha():
        return problem(
            origin,
            SYNTAX,
            at,
            at + 1,
            f"'{character}' is no letter of a name",
            "names are of a to z, digits and _",
        )
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return problem(origin, SYNTAX, at, at + 1, f"'{shown}' means nothing here")


def _number(text: str, at: int, end: int, origin: Origin) -> int | float:
    if text.isdigit():
        if len(text) <= 19:
            value = int(text)
            if value <= INT_MAX + 1:  # one more, for the smallest negative number
                return value
        raise problem(
            origin, LITERAL, at, end, "an integer has at most 64 bits", "quote it if it is an identifier"
        )
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise problem(origin, LITERAL, at, end, "this number is too large")
    return number


def _text(text: str, at: int, origin: Origin) -> tuple[str, int]:
    found = _STRING[text[at]].match(text, at)
    if found is None:
        raise problem(origin, SYNTAX, at, at + 1, f"the text that begins with {text[at]} has no end")
    inner = found[1]
    if "\\" in inner:
        inner = _ESCAPE.sub(lambda escape: _unescape(escape, found.start(1), origin), inner)
    return inner, found.end()


def _unescape(escape: re.Match[str], base: int, origin: Origin) -> str:
    code = escape[1]
    if code in _ESCAPED:
        return _ESCAPED[code]
    number = int(code[1:], 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        at = base + escape.start()
        raise problem(origin, LITERAL, at, base + escape.end(), f"'{escape[0]}' is no character")
    return chr(number)
