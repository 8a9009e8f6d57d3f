"""The kinds of value that keys take: how each is read, and its JSON Schema."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower.values import MARK, lower_condition, lower_value, no_expression, scalar_value
from flowbuilder.compiler.nodes import Mapping as MappingNode
from flowbuilder.compiler.nodes import Node, Scalar, Sequence, is_nothing, kind_of
from flowbuilder.core.durations import parse_duration, parse_size

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

Reader = Callable[["Context", Node, str], Any]
"""Takes the key's name for messages; returns None where something was reported."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A kind of value."""

    read: Reader
    schema: Mapping[str, Any]


def _plain(ctx: Context, node: Node, key: str, wanted: str, hint: str = "") -> Scalar | None:
    """Return a scalar without expressions."""
    if type(node) is not Scalar:
        ctx.expected(wanted, node, key)
        return None
    if MARK in node.text:
        no_expression(ctx, node, key)
        return None
    if is_nothing(node):
        ctx.expected(wanted, node, key, hint or f"give it a value, or leave out '{key}'")
        return None
    return node


def read_text(ctx: Context, node: Node, key: str) -> str | None:
    """Return a text; a number that was meant as one needs quotes."""
    scalar = _plain(ctx, node, key, "a text")
    if scalar is None:
        return None
    if kind_of(scalar) == "a text":
        return scalar.text
    ctx.expected("a text", scalar, key, f"quote it: '{scalar.text[:40]}'")
    return None


def read_boolean(ctx: Context, node: Node, key: str) -> bool | None:
    """Return true or false."""
    scalar = _plain(ctx, node, key, "true or false")
    if scalar is None:
        return None
    value = scalar_value(ctx, scalar)
    if type(value) is bool:
        return value
    if value is not ...:
        ctx.error("FB203", f"'{key}' takes true or false, and this is '{scalar.text[:40]}'", scalar)
    return None


def integer(least: int, most: int) -> Field:
    """Return the kind of an integer within bounds."""

    def read(ctx: Context, node: Node, key: str) -> int | None:
        scalar = _plain(ctx, node, key, "an integer")
        if scalar is None:
            return None
        value = scalar_value(ctx, scalar)
        if value is ...:
            return None
        if type(value) is not int:
            ctx.error("FB203", f"'{key}' takes an integer, and this is '{scalar.text[:40]}'", scalar)
        elif not least <= value <= most:
            ctx.error("FB210", f"'{key}' is {value}, and must lie between {least:,} and {most:,}", scalar)
        else:
            return value
        return None

    return Field(read, {"type": "integer", "minimum": least, "maximum": most})


def number(least: float, most: float) -> Field:
    """Return the kind of a number within bounds."""

    def read(ctx: Context, node: Node, key: str) -> float | None:
        scalar = _plain(ctx, node, key, "a number")
        if scalar is None:
            return None
        value = scalar_value(ctx, scalar)
        if value is ...:
            return None
        if type(value) is not int and type(value) is not float:
            ctx.error("FB203", f"'{key}' takes a number, and this is '{scalar.text[:40]}'", scalar)
        elif not least <= value <= most:
            ctx.error("FB210", f"'{key}' is {value}, and must lie between {least:g} and {most:g}", scalar)
        else:
            return float(value)
        return None

    return Field(read, {"type": "number", "minimum": least, "maximum": most})


LONGEST: Final = 10 * 365 * 86400.0
"""Seconds; ten years.  Whoever writes more has mistaken a unit."""


def duration_of(ctx: Context, node: Scalar, key: str) -> float | None:
    """Return seconds from a scalar such as `10s`."""
    try:
        seconds = parse_duration(node.text)
    except ValueError as error:
        _report_unit(ctx, error, node, key)
        return None
    if seconds > LONGEST:
        ctx.error("FB210", f"'{key}' is longer than ten years", node)
        return None
    return seconds


def _report_unit(ctx: Context, error: ValueError, node: Scalar, key: str) -> None:
    """Report a text that is no duration or size; how one is written is the hint."""
    what, _, hint = str(error).rpartition(": write ")
    ctx.error("FB208", f"'{key}': {what}", node, f"write {hint}")


def read_duration(ctx: Context, node: Node, key: str) -> float | None:
    """Return seconds; zero would mean never or at once, so it is refused."""
    scalar = _plain(ctx, node, key, "a duration")
    if scalar is None:
        return None
    seconds = duration_of(ctx, scalar, key)
    if seconds == 0:
        ctx.error("FB210", f"'{key}' must be longer than nothing", scalar, f"leave out '{key}' for none")
        return None
    return seconds


def read_delay(ctx: Context, node: Node, key: str) -> float | None:
    """Return seconds, zero included."""
    scalar = _plain(ctx, node, key, "a duration")
    return None if scalar is None else duration_of(ctx, scalar, key)


def read_size(ctx: Context, node: Node, key: str) -> int | None:
    """Return bytes; nothing at all would ask for nothing, so it is refused."""
    scalar = _plain(ctx, node, key, "a size")
    if scalar is None:
        return None
    try:
        count = parse_size(scalar.text)
    except ValueError as error:
        _report_unit(ctx, error, scalar, key)
        return None
    if not count:
        ctx.error("FB210", f"'{key}' must be more than nothing", scalar, f"leave out '{key}' for none")
        return None
    return count


def choice(*words: str, later: Mapping[str, str] | None = None) -> Field:
    """Return the kind of one word out of a few."""

    def read(ctx: Context, node: Node, key: str) -> str | None:
        scalar = _plain(ctx, node, key, "one of " + ", ".join(words))
        if scalar is None:
            return None
        if scalar.text in words:
            return scalar.text
        if later and scalar.text in later:
            ctx.error("FB205", f"'{key}: {scalar.text}' comes in a later release", scalar, later[scalar.text])
            return None
        ctx.error(
            "FB209",
            f"'{key}' is '{scalar.text[:40]}', and must be one of {', '.join(words)}",
            scalar,
            ctx.near(scalar.text, words),
        )
        return None

    return Field(read, {"enum": list(words)})


IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_LETTERS: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
)
"""Letters that Unicode does not take apart into an ASCII one and its mark."""


def name_problem(name: str) -> str:
    """Return how a name that is no identifier could be written."""
    import unicodedata  # start-up time: most names are right

    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS)).encode("ascii", "ignore").decode()
    better = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")
    if better[:1].isdigit():
        better = "_" + better
    return f"write '{better}'" if better and len(better) <= 80 else ""


def check_name(ctx: Context, node: Scalar, what: str) -> bool:
    """Tell whether a key or name is an identifier, and report it if not."""
    if IDENTIFIER.fullmatch(node.text) and len(node.text) <= 100:
        return True
    hints = [name_problem(node.text)]
    rule = "must consist of letters, digits and '_' and not begin with a digit"
    if len(node.text) > 100:
        rule = "has more than 100 characters"
    elif not node.text.isascii():
        other = next(letter for letter in node.text if not letter.isascii())
        rule = f"has '{other}' in it, and must consist of a-z, A-Z, 0-9 and '_' and not begin with a digit"
        hints.append(
            "names stand in expressions, where each letter is ASCII, so that no two names look alike"
        )
        hints.append(_FOR_PEOPLE.get(what, ""))
    ctx.error("FB204", f"the {what} '{node.text[:60]}' {rule}", node, *filter(None, hints))
    return False


_FOR_PEOPLE: Final = {
    "input": "the name that people read may stand in its schema, as `title`",
    "task id": "the name that people read may stand in the task, as `name`",
}
"""Where a name goes that no expression can say."""


def read_scalars(ctx: Context, node: Node, key: str) -> list[Scalar]:
    """Return a list of plain scalars; a single one stands for a list of one."""
    items = node.items if type(node) is Sequence else [node]
    return [scalar for item in items if (scalar := _plain(ctx, item, key, "a text, or a list of texts"))]


_KIND: Final = re.compile(r"[A-Za-z0-9_.*?-]+")


def read_kinds(ctx: Context, node: Node, key: str) -> tuple[str, ...]:
    """Return error kinds, which may be patterns such as `http.5xx`."""
    kinds = []
    for scalar in read_scalars(ctx, node, key):
        if _KIND.fullmatch(scalar.text):
            kinds.append(scalar.text)
        else:
            ctx.error(
                "FB204",
                f"'{scalar.text[:40]}' is no kind of error",
                scalar,
                "kinds are dotted words such as `timeout`, `http.503` or `shell.*`",
            )
    return tuple(kinds)


def read_tags(ctx: Context, node: Node, key: str) -> tuple[str, ...]:
    """Return texts for people."""
    items = node.items if type(node) is Sequence else [node]
    return tuple([text for item in items if (text := read_text(ctx, item, key)) is not None])


def read_texts(ctx: Context, node: Node, key: str) -> dict[str, str]:
    """Return a mapping of texts as they were written: `PORT: 8080` is the text `8080`."""
    if type(node) is not MappingNode:
        ctx.expected("a mapping of texts", node, key)
        return {}
    texts = {}
    for name, value in node.pairs.values():
        scalar = _plain(ctx, value, f"{key}.{name.text[:40]}", "a text", "write '' for an empty text")
        if scalar is not None:
            texts[name.text] = as_written(ctx, scalar, f"{key}.{name.text[:40]}")
    return texts


def as_written(ctx: Context, scalar: Scalar, key: str) -> str:
    """Return a scalar's text; nothing at all is refused, an empty text is written `''`."""
    if not scalar.style and scalar.text in ("", "~", "null", "Null", "NULL"):
        ctx.error("FB203", f"'{key}' takes a text, and this is nothing", scalar, "write '' for an empty text")
    return scalar.text


def read_expression(ctx: Context, node: Node, key: str) -> Any:
    """Return the tree of any value."""
    return lower_value(ctx, node)


TEXT: Final = Field(read_text, {"type": "string"})
BOOLEAN: Final = Field(read_boolean, {"type": "boolean"})
DURATION: Final = Field(read_duration, {"type": "string", "examples": ["250ms", "10s", "1h30m", "PT10S"]})
DELAY: Final = Field(read_delay, {"type": "string", "examples": ["0s", "250ms", "10s"]})
KINDS: Final = Field(
    read_kinds, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
TAGS: Final = Field(
    read_tags, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
TEXTS: Final = Field(
    read_texts, {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
)
EXPRESSION: Final = Field(read_expression, {})
CONDITION: Final = Field(lower_condition, {"type": ["string", "boolean"]})
