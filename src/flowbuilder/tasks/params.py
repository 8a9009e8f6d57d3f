"""Reading the parameters of a task, once they are evaluated.

The compiler checks constants against the schemas; what expressions yield is
looked at here.  What does not fit fails the task with the kind `input`,
which is never retried.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.values import to_json

_KINDS: Final = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
    bytes: "bytes",
}


def mapping(params: Any) -> dict[str, Any]:
    """Return the parameters as a mapping; none at all are an empty one."""
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise TaskFailed("input", f"'with' is a mapping, not {kind_of(params)}")
    return params


def get_text(params: dict[str, Any], name: str) -> str | None:
    """Return a parameter that is a text, or None where it is missing or null."""
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        refuse(name, "a text", value)
    return value


def text(params: dict[str, Any], name: str) -> str:
    """Return a parameter that must be a text."""
    value = params.get(name)
    if not isinstance(value, str):
        refuse(name, "a text", value)
    return value


def get_boolean(params: dict[str, Any], name: str, default: bool) -> bool:
    """Return a parameter that is a boolean."""
    value = params.get(name, default)
    if not isinstance(value, bool):
        refuse(name, "a boolean", value)
    return value


def written(value: Any, name: str) -> str:
    """Return a value as it stands in a text: a text as it is, all else as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        refuse(name, "a text", value)
    as_json = to_json(value)
    return as_json if isinstance(as_json, str) else msgspec.json.encode(as_json).decode()


def codes(params: dict[str, Any]) -> tuple[int, ...]:
    """Return the exit codes that count as success."""
    value = params.get("ok_codes")
    if value is None:
        return (0,)
    if not isinstance(value, list) or not all(type(code) is int for code in value):
        refuse("ok_codes", "a list of exit codes", value)
    return tuple(value)


def refuse(name: str, wanted: str, value: Any) -> NoReturn:
    """Fail because a parameter is of the wrong kind; its value is not shown."""
    raise TaskFailed("input", f"'{name}' is {wanted}, not {kind_of(value)}")


def kind_of(value: Any) -> str:
    """Return what kind of value it is, in words."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")
