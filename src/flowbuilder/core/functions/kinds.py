"""From one kind of value to another, strictly: a text must be written as JSON writes the value."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from flowbuilder.core.functions.support import finite, fits, kind_of, wrong_type, wrong_value

_INT = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)

_TYPES = {
    dict: "mapping",
    list: "list",
    str: "text",
    int: "integer",
    float: "float",
    bool: "boolean",
    type(None): "null",
    dt.date: "date",
    dt.datetime: "datetime",
    dt.timedelta: "duration",
    bytes: "bytes",
}


def int_(value: Any) -> int:
    """Return an integer: of a float its whole part, of a text what it says."""
    if type(value) is int:
        return value
    if type(value) is float:
        return fits(int(value))
    if type(value) is str:
        if len(value) <= 100 and _INT.fullmatch(value.strip()):
            return fits(int(value))
        return wrong_value("'int' takes a text of digits, as JSON writes an integer")
    return wrong_type(f"'int' takes a number or a text, not {kind_of(value)}")


def float_(value: Any) -> float:
    """Return a float: of a text what it says."""
    if type(value) is int or type(value) is float:
        return float(value)
    if type(value) is str:
        if len(value) <= 400 and _FLOAT.fullmatch(value.strip()):
            return finite(float(value))
        return wrong_value("'float' takes a text that is a number, as JSON writes one")
    return wrong_type(f"'float' takes a number or a text, not {kind_of(value)}")


def bool_(value: Any) -> bool:
    """Return a boolean: of a text `true` or `false`, of all else whether it is something."""
    if type(value) is str:
        match value.strip() if len(value) <= 100 else "":
            case "true":
                return True
            case "false":
                return False
        return wrong_value("'bool' takes the text 'true' or 'false'")
    return bool(value)


def type_(value: Any) -> str:
    """Return the kind of a value as a text: `list`, `integer`, `null` …"""
    return _TYPES[type(value)]
