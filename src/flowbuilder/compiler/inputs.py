"""A run's inputs: checked against their schemas, with defaults, as the values that expressions see."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import msgspec

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core.durations import parse_duration
from flowbuilder.core.errors import InputError
from flowbuilder.core.values import MAX_DEPTH, to_json

if TYPE_CHECKING:
    from flowbuilder.compiler.ir import Flow, Input


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text.removeprefix("-"))
    except ValueError:
        return False
    return True


def _duration(text: str) -> dt.timedelta:
    sign = -1 if text.startswith("-") else 1
    return sign * dt.timedelta(seconds=parse_duration(text.removeprefix("-")))


def _is_datetime(text: str) -> bool:
    try:
        return dt.datetime.fromisoformat(text).tzinfo is not None and len(text) > 10
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    # fromisoformat takes `20260105` and `2026-W01-1` too
    try:
        return len(text) == 10 and text[4] == text[7] == "-" and bool(dt.date.fromisoformat(text))
    except ValueError:
        return False


_FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "duration": _is_duration,
    "date-time": _is_datetime,
    "date": _is_date,
}
_CONVERTED: Final[Mapping[str, Callable[[str], Any]]] = {
    "date": dt.date.fromisoformat,
    "date-time": dt.datetime.fromisoformat,
    "duration": _duration,
}


def make_validator(schema: Mapping[str, Any]) -> Any:
    """Return the validator of an input's schema.  Reads nothing from elsewhere, and no pattern hangs.

    Raises:
        ValueError: if it is no JSON Schema (`jsonschema_rs.ValidationError`).
        jsonschema_rs.ReferencingError: if it refers to what is not in it.
    """
    return _validator(msgspec.json.encode(schema))


@functools.lru_cache(maxsize=1024)
def _validator(encoded: bytes) -> Any:
    return jsonschema_rs.validator_for(
        msgspec.json.decode(encoded),
        validate_formats=True,
        formats=_FORMATS,
        pattern_options=jsonschema_rs.RegexOptions(),  # linear time, whatever the pattern
        offline=True,
    )


def input_checker(flow: Flow) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what checks and completes the inputs of a run of this flow.

    It takes inputs by name, texts where the schema says `date`, `date-time`
    or `duration` (or such values already), and returns them in the order
    declared, with defaults filled in.

    The function raises `InputError` with every violation by path.
    """
    if not flow.inputs:
        return functools.partial(_none_wanted, flow.name)
    validators = [
        (entry, make_validator(entry.schema), _converter(entry.schema), _plain_kind(entry.schema))
        for entry in flow.inputs
    ]
    names = frozenset(entry.name for entry in flow.inputs)

    def check(given: Mapping[str, Any]) -> dict[str, Any]:
        violations = [_unknown(name, flow) for name in given if name not in names]
        checked: dict[str, Any] = {}
        for entry, validator, convert, plain in validators:
            if entry.name in given:
                value = given[entry.name]
            elif not entry.required:
                value = entry.default
            else:
                violations.append((f"$.{entry.name}", "is required" + _about(entry)))
                continue
            if type(value) is plain and (plain is not int or _LOW <= value <= _HIGH):  # type: ignore[operator]
                checked[entry.name] = value
                continue
            shown = _shown(value, entry.name, violations)
            if shown is _BAD:
                continue
            if not validator.is_valid(shown):
                violations += [
                    (_path(entry.name, e.instance_path), _message(e, entry))
                    for e in validator.iter_errors(shown)
                ]
            else:
                checked[entry.name] = convert(shown) if convert is not None and value is not None else shown
        if violations:
            raise InputError(violations)
        return checked

    return check


def config_checker(flow: Flow) -> Callable[[Mapping[str, Any]], dict[str, Any]] | None:
    """Return what checks and completes the `config` of a run, as inputs are; None where a flow has none.

    What a profile has for other flows is passed over.
    """
    if not flow.config:
        return None
    names = frozenset(entry.name for entry in flow.config)
    check = input_checker(msgspec.structs.replace(flow, inputs=flow.config))
    return lambda given: check({name: value for name, value in given.items() if name in names})


_BAD: Final = object()
_LOW: Final = -(2**63)
_HIGH: Final = 2**63 - 1
_KINDS: Final = {"integer": int, "string": str, "boolean": bool}
_WORDS: Final = frozenset({"type", "default", "title", "description", "examples"})


def _plain_kind(schema: Mapping[str, Any]) -> type | None:
    """Return the kind of which every value satisfies the schema; None if there is more to look at."""
    return _KINDS.get(str(schema.get("type"))) if _WORDS.issuperset(schema) else None


def _shown(value: Any, name: str, violations: list[tuple[str, str]]) -> Any:
    """Return a copy of a value as JSON has it, or `_BAD` with the reason in `violations`."""
    kind = type(value)
    if kind is bool or value is None or (kind is str and value.isascii()):
        return value
    try:
        shown = msgspec.json.decode(msgspec.json.encode(to_json(value)))
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
        violations.append((f"$.{name}", f"cannot be written as JSON: {str(error)[:200]}"))
        return _BAD
    if _too_deep(shown, MAX_DEPTH) or _too_large(shown):
        violations.append((f"$.{name}", f"is more than {MAX_DEPTH} deep, or holds an integer beyond 64 bits"))
        return _BAD
    return shown


def _too_deep(value: Any, depth: int) -> bool:
    if type(value) is list:
        return depth <= 0 or any(_too_deep(item, depth - 1) for item in value if type(item) in (list, dict))
    if type(value) is dict:
        return depth <= 0 or any(_too_deep(v, depth - 1) for v in value.values() if type(v) in (list, dict))
    return False


def _too_large(value: Any) -> bool:
    if type(value) is int:
        return not -(2**63) <= value < 2**63
    if type(value) is list:
        return any(map(_too_large, value))
    return type(value) is dict and any(map(_too_large, value.values()))


def _none_wanted(flow: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if given:
        raise InputError([(f"$.{name}", f"flow '{flow}' has no inputs") for name in given])
    return {}


def _unknown(name: str, flow: Flow) -> tuple[str, str]:
    names = [entry.name for entry in flow.inputs]
    hint = nearest(str(name), names) or "there are " + ", ".join(names[:20])
    return f"$.{str(name)[:100]}", f"flow '{flow.name}' has no such input; {hint}"


def _about(entry: Input) -> str:
    description = entry.schema.get("description") or entry.schema.get("title")
    return f": {description}" if isinstance(description, str) else ""


def _message(error: Any, entry: Input) -> str:
    """Return what is wrong; the validator's own words may show the value."""
    return (
        "does not fit its schema (it is sensitive, and not shown)" if entry.sensitive else error.message[:300]
    )


def _path(name: str, steps: list[str | int]) -> str:
    return f"$.{name}" + "".join(f"[{step}]" if type(step) is int else f".{step}" for step in steps)


def _converter(schema: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """Return what makes dates, datetimes and durations of texts, wherever the schema says so; or None."""
    make = _CONVERTED.get(str(schema.get("format")))
    if make is not None:
        return lambda value: make(value) if type(value) is str else value
    inner: dict[str, Callable[[Any], Any]] = {}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, part in properties.items():
            if isinstance(part, Mapping) and (convert := _converter(part)) is not None:
                inner[name] = convert
    items = schema.get("items")
    each = _converter(items) if isinstance(items, Mapping) else None
    if each is None and not inner:
        return None

    def convert_parts(value: Any) -> Any:
        if type(value) is list and each is not None:
            return [each(item) for item in value]
        if type(value) is dict:
            return {name: inner[name](part) if name in inner else part for name, part in value.items()}
        return value

    return convert_parts
