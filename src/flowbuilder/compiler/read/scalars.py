"""What a plain scalar means under the core schema of YAML 1.2.

`yes`, `on`, `12:30:00`, `2026-01-05` and `1_000` are texts; `1e3` is a number.

Source:
    YAML 1.2.2, section 10.3.2 (tag resolution of the core schema).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbuilder.compiler.nodes import Scalar

_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS = 400
"""Longer numbers are neither 64-bit integers nor finite floats."""


class UnusableNumber(Exception):
    """A number that a flow's values cannot hold; the text says why."""


def value_of(scalar: Scalar) -> str | int | float | bool | None:
    """Return what a scalar means.

    Raises:
        UnusableNumber: for `.nan`, `.inf`, and what does not fit 64 bits.
    """
    text = scalar.text
    if scalar.style:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    # hot: most scalars are words, and the first character tells
    if text[0] not in "0123456789+-.":
        return text
    return _number(text)


def _number(text: str) -> str | int | float:
    if len(text) > _MOST_DIGITS:
        if _FLOAT.fullmatch(text) or _BASED.fullmatch(text):
            raise UnusableNumber("has too many digits")
        return text
    if _INT.fullmatch(text):
        return _integer(int(text))
    if _BASED.fullmatch(text):
        return _integer(int(text, 0))
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise UnusableNumber("is greater than any number that a flow can hold")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise UnusableNumber("is no number that JSON can hold")
    return text


def _integer(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise UnusableNumber("does not fit 64 bits")
    return number


def prints_otherwise(text: str, value: object) -> bool:
    """Tell whether a number looks like a text that would lose something: `3.10`, `0755`, `+49`.

    Exponents and other bases are meant as numbers and lose nothing.
    """
    if type(value) is int:
        return str(value) != text and not _BASED.fullmatch(text)
    if type(value) is float:
        shown = repr(value)
        return shown != text and not ("e" in shown or "e" in text or "E" in text)
    return False
