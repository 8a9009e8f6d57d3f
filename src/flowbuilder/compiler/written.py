"""Expressions as text, for people: as they would be written, shortened where they are long."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.depth import is_deep
from flowbuilder.compiler.expressions.check import SEVERAL_OF
from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Choice,
    Compare,
    Const,
    Dict,
    DictComp,
    Expr,
    For,
    Index,
    List,
    ListComp,
    Logic,
    Member,
    Name,
    Negate,
    Not,
    Slice,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_CHOICE, _OR, _AND, _NOT, _COMPARE, _FILTER, _SUM, _TERM, _SIGN, _POWER, _PART = range(11)
"""How tightly things bind, the loosest first: the levels of the grammar."""

_SUMS: Final = {"+": _SUM, "-": _SUM}
_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {
    ord("\\"): "\\\\",
    ord("'"): "\\'",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def written(expr: Expr, limit: int = 80) -> str:
    """Return an expression as a text of at most `limit` characters; longer ones end in `…`.

    What it yields can be parsed again if nothing was cut off, and then means the same.

    Example:
        `written(parse_expression("a.b+1", …))` is `"a.b + 1"`.
    """
    text = "…" if is_deep(expr) else _at(expr, _CHOICE)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _at(expr: Expr, level: int) -> str:
    """Return an expression as text, in brackets where its surroundings bind more tightly."""
    own, write = _WRITERS[type(expr)]
    text = write(expr)
    if type(expr) is Binary:
        own = _SUMS.get(expr.op, _POWER if expr.op == "**" else _TERM)
    elif type(expr) is Logic:
        own = _OR if expr.op == "or" else _AND
    elif type(expr) is Call and expr.form == "filter":
        own = _FILTER
    elif type(expr) is Const and type(expr.value) in (int, float) and text.startswith("-"):
        own = _SIGN
    return f"({text})" if own < level else text


def _const(expr: Const) -> str:
    return value_text(expr.value)


def value_text(value: Any) -> str:
    """Return a constant as an expression would say it."""
    match value:
        case str():
            return _quoted(value)
        case list():
            return f"[{', '.join(map(value_text, value))}]"
        case dict():
            return f"{{{', '.join(f'{_quoted(key)}: {value_text(item)}' for key, item in value.items())}}}"
        case None | bool() | int() | float():
            return json.dumps(value)
        case _:
            return str(value)


def _quoted(text: str) -> str:
    return f"'{text.translate(_ESCAPES)}'"


def _member(expr: Member) -> str:
    of = _at(expr.of, _PART)
    if type(expr.of) is Const and type(expr.of.value) in (int, float):
        of = f"({of})"  # `1.a` would read as a number
    return f"{of}.{expr.name}" if _WORD.fullmatch(expr.name) else f"{of}[{_quoted(expr.name)}]"


def _slice(expr: Slice) -> str:
    start, stop, step = (
        "" if part is None else _at(part, _CHOICE) for part in (expr.start, expr.stop, expr.step)
    )
    return f"{_at(expr.of, _PART)}[{start}:{stop}{':' + step if step else ''}]"


def _dict(expr: Dict) -> str:
    return f"{{{', '.join(f'{_at(key, _CHOICE)}: {_at(value, _CHOICE)}' for key, value in expr.items)}}}"


def _loops(loops: tuple[For, ...]) -> str:
    return " ".join(
        " ".join(
            [
                f"for {', '.join(loop.names)} in {_at(loop.over, _OR)}",
                *(f"if {_at(c, _OR)}" for c in loop.conditions),
            ]
        )
        for loop in loops
    )


def _call(expr: Call) -> str:
    bare = len(expr.args) == 1 and not expr.named and expr.form == "call" and expr.function in SEVERAL_OF
    if bare and type(expr.args[0]) is ListComp:
        only = expr.args[0]
        return f"{expr.function}({_at(only.value, _CHOICE)} {_loops(only.loops)})"
    first, rest = (None, expr.args) if expr.form == "call" else (expr.args[0], expr.args[1:])
    inside = ", ".join(
        [_at(arg, _CHOICE) for arg in rest] + [f"{name}={_at(arg, _CHOICE)}" for name, arg in expr.named]
    )
    if first is None:
        return f"{expr.function}({inside})"
    if expr.form == "method":
        return f"{_at(first, _PART)}.{expr.function}({inside})"
    return f"{_at(first, _FILTER)} | {expr.function}{f'({inside})' if inside else ''}"


def _binary(expr: Binary) -> str:
    if expr.op == "**":  # binds to the right, and its right side may have a sign
        return f"{_at(expr.left, _PART)} ** {_at(expr.right, _SIGN)}"
    level = _SUMS.get(expr.op, _TERM)
    return f"{_at(expr.left, level)} {expr.op} {_at(expr.right, level + 1)}"


def _compare(expr: Compare) -> str:
    text = _at(expr.first, _FILTER)
    for op, value in expr.rest:
        text += f" {op}" if op in ("is null", "is not null") else f" {op} {_at(value, _FILTER)}"
    return text


def _logic(expr: Logic) -> str:
    level = _AND if expr.op == "or" else _NOT
    return f" {expr.op} ".join(_at(operand, level) for operand in expr.operands)


def _choice(expr: Choice) -> str:
    return f"{_at(expr.then, _OR)} if {_at(expr.condition, _OR)} else {_at(expr.otherwise, _CHOICE)}"


def _text(expr: Text) -> str:
    """Return a text with expressions in it as it stands in a file."""
    return "".join(
        part.value.replace("${{", "$${{")
        if type(part) is Const and type(part.value) is str
        else f"${{{{ {_at(part, _CHOICE)} }}}}"
        for part in expr.parts
    )


_WRITERS: dict[type, tuple[int, Callable[[Any], str]]] = {
    Const: (_PART, _const),
    Name: (_PART, lambda e: e.id),
    Member: (_PART, _member),
    Index: (_PART, lambda e: f"{_at(e.of, _PART)}[{_at(e.index, _CHOICE)}]"),
    Slice: (_PART, _slice),
    List: (_PART, lambda e: f"[{', '.join(_at(item, _CHOICE) for item in e.items)}]"),
    Dict: (_PART, _dict),
    ListComp: (_PART, lambda e: f"[{_at(e.value, _CHOICE)} {_loops(e.loops)}]"),
    DictComp: (_PART, lambda e: f"{{{_at(e.key, _CHOICE)}: {_at(e.value, _CHOICE)} {_loops(e.loops)}}}"),
    Call: (_PART, _call),
    Negate: (_SIGN, lambda e: f"-{_at(e.of, _SIGN)}"),
    Binary: (_SUM, _binary),
    Compare: (_COMPARE, _compare),
    Not: (_NOT, lambda e: f"not {_at(e.of, _NOT)}"),
    Logic: (_OR, _logic),
    Choice: (_CHOICE, _choice),
    Text: (_PART, _text),
}
