"""The text of a flow, and for each part of it the place in Python that it was made from.

The text is YAML as a person would write it, and the same for the same graph,
byte for byte: its hash is the flow's version.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from flowbuilder.compiler.nodes import Scalar
from flowbuilder.compiler.read.scalars import UnusableNumber, value_of
from flowbuilder.sdk.pyflows.places import Place

WIDTH: Final = 88
_PLAIN: Final = re.compile(r"[A-Za-z0-9_$/.](?:[ -~]*[!-~])?")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_UNSEEN: Final = re.compile("[\x7f-\xa0\xad\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class Part(msgspec.Struct):
    """A value of the text: a mapping, list or scalar, with parts in it; and where it comes from."""

    value: Any
    place: Place


class Region(msgspec.Struct, frozen=True):
    """A stretch of the text."""

    start: int
    end: int
    place: Place


class YamlText:
    """A text being written: `text` and `regions` when it is done."""

    def __init__(self, root: Part) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self.regions: list[Region] = []
        self._mapping(root, 0)
        self.text = "".join(self._pieces)

    def _put(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)

    def _mapping(self, part: Part, indent: int, *, first: bool = False) -> None:
        """Write the pairs of a mapping, each on lines of its own."""
        for key, value in part.value.items():
            place = value.place if isinstance(value, Part) else part.place
            start = self._length
            self._put(("" if first else " " * indent) + (key if _WORD.fullmatch(key) else _quoted(key)) + ":")
            first = False
            self._value(value if isinstance(value, Part) else Part(value, part.place), indent + 2)
            self.regions.append(Region(start, self._length, place))

    def _value(self, part: Part, indent: int) -> None:
        """Write what stands behind a key, up to the end of its last line."""
        value = part.value
        if isinstance(value, dict) and value:
            self._put("\n")
            self._mapping(part, indent)
        elif isinstance(value, list | tuple) and value:
            line = _flow_list(value)
            if line is not None:
                self._put(f" {line}\n")
                return
            self._put("\n")
            self._list(part, indent)
        else:
            self._put(" " + _scalar(value, indent) + "\n")

    def _list(self, part: Part, indent: int) -> None:
        for item in part.value:
            each = item if isinstance(item, Part) else Part(item, part.place)
            start = self._length
            self._put(" " * indent + "-")
            if isinstance(each.value, dict) and each.value:
                self._put(" ")
                self._mapping(each, indent + 2, first=True)
            else:
                self._value(each, indent + 2)
            self.regions.append(Region(start, self._length, each.place))

    def place_of(self, line: int, column: int) -> Place | None:
        """Return the Python place of a position in the text, both counted from 1: that of the smallest part."""
        starts = self.text.split("\n", line - 1)
        at = len(self.text) - len(starts[-1]) + column - 1 if len(starts) == line else len(self.text)
        around = [region for region in self.regions if region.start <= at < region.end]
        return min(around, key=lambda region: region.end - region.start).place if around else None


def _flow_list(items: Any) -> str | None:
    """Return a short list of simple values on one line; None for any other."""
    texts = []
    for item in items:
        value = item.value if isinstance(item, Part) else item
        if isinstance(value, dict | list | tuple):
            return None
        text = _scalar(value, 0)
        if isinstance(value, str) and not (_WORD.fullmatch(text) or text.startswith('"')):
            text = _quoted(value)
        texts.append(text)
    line = f"[{', '.join(texts)}]"
    return line if len(line) <= WIDTH and "\n" not in line else None


def _scalar(value: Any, indent: int) -> str:
    match value:
        case None | True | False:
            return json.dumps(value)
        case dict():
            return "{}"
        case list() | tuple():
            return "[]"
        case int():
            return str(value)
        case float():
            return _float(value)
        case str():
            return _text(value, indent)
    raise TypeError(type(value).__name__)


def _float(value: float) -> str:
    text = repr(value)
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def _text(value: str, indent: int) -> str:
    """Return a text as it reads best: plain, in quotes, or as a block of lines."""
    if "\n" in value.rstrip("\n") and _is_block(value):
        mark = "|-" if not value.endswith("\n") else "|"
        lines = value.removesuffix("\n").split("\n")
        return mark + "".join(f"\n{' ' * indent}{line}" if line else "\n" for line in lines)
    if _PLAIN.fullmatch(value) and ": " not in value and " #" not in value and value[-1] != ":":
        try:
            if value_of(Scalar(value, "", 0, 0)) == value:
                return value
        except UnusableNumber:
            pass
    return _quoted(value)


def _is_block(value: str) -> bool:
    """Tell whether lines stay what they are behind `|`: no blanks at odd places, nothing unseen."""
    lines = value.split("\n")
    return (
        bool(lines[0].strip())
        and lines[0][0] not in " \t"
        and not value.endswith("\n\n")
        and all(line == line.rstrip() and all(c.isprintable() or c == "\t" for c in line) for line in lines)
        and not any(line.startswith("\t") for line in lines)
        and not _UNSEEN.search(value)
    )


def _quoted(value: str) -> str:
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
