"""URLs: values behind the host are percent-encoded, so that none adds a path or a query."""

from __future__ import annotations

import re

from flowbuilder.compiler.expressions.tree import Call, Const, Expr, Text

_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_ENDS_HOST = re.compile(r"[/?#]")


def encode_values(url: Expr) -> Expr:
    """Return the template with each value behind the host encoded, but those that end in `| raw`.

    A value at the very start is a base URL: scheme, host and maybe more.
    """
    if type(url) is not Text:
        return url
    parts: list[Expr] = []
    written = ""
    """What stands before, each value as one letter: enough to tell where the host ends."""
    behind = False
    for number, part in enumerate(url.parts):
        if type(part) is Const and type(part.value) is str:
            parts.append(part)
            written += part.value
            behind = behind or _is_behind(written, starts_with_value=_is_value(url.parts[0]))
        else:
            parts.append(_encoded(part) if behind else part)
            written += "x"
            # a value right behind the base belongs to the path
            behind = behind or (number == 0 and len(url.parts) > 1 and _is_value(url.parts[1]))
    return Text(url.at, tuple(parts))


def _is_value(part: Expr) -> bool:
    return not (type(part) is Const and type(part.value) is str)


def _is_behind(written: str, *, starts_with_value: bool) -> bool:
    """Tell whether what follows `written` stands behind the host."""
    if match := _HOST.match(written):
        return match.end() < len(written)
    if starts_with_value:
        rest = written[1:]
        return not ("://".startswith(rest) or ":".startswith(rest)) and bool(_ENDS_HOST.search(rest))
    return bool(_ENDS_HOST.search(written))


def _encoded(part: Expr) -> Expr:
    if type(part) is Call and part.function == "raw":
        return part
    return Call(part.at, "urlencode", (Text(part.at, (part,)),))
