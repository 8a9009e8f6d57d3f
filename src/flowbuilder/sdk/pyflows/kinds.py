"""Annotations of Python: as JSON Schemas, and as what turns values into instances.

msgspec knows structs, dataclasses, typed dictionaries, enums, literals, dates
and unions of them; pydantic's models are asked themselves, where that is
installed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import os
import sys
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from flowbuilder.sdk.pyflows.trees import NotAValue

PLAIN: Final = frozenset(
    {str, int, float, bool, bytes, type(None), Any, object, list, dict, inspect.Parameter.empty}
)
"""Annotations of which values are what they are."""
_KEPT: Final = (dt.datetime, dt.date, dt.timedelta, bytes)
"""Kinds that flows have too, though JSON has not."""


def as_plain(value: Any) -> Any:
    """Return a constant that is no value of a flow one step nearer to one.

    Raises:
        NotAValue: it is nothing that has values in it.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_inner)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if _is_model(type(value)):
        return value.model_dump(by_alias=True)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, uuid.UUID | decimal.Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray):
        raise NotAValue("bytes that are written in Python", "read them from a file, in a task")
    if isinstance(value, set | frozenset):
        raise NotAValue("a set, whose order differs from start to start", "write `sorted(…)`")
    if isinstance(value, range):
        return list(value)
    if inspect.isroutine(value) or callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        raise NotAValue(f"the function '{name}'", "call it here, or inside of a task")
    if inspect.iscoroutine(value):
        value.close()
        raise NotAValue("a coroutine", "make the function a @task, or await it inside of one")
    item = getattr(value, "item", None)
    if callable(item) and type(value).__module__.partition(".")[0] == "numpy":
        return item()
    raise NotAValue(
        f"an object of the kind '{type(value).__name__}'",
        "give a value that JSON could hold, or make it inside of a task",
    )


def _inner(value: Any) -> Any:
    return as_plain(value)


def _is_model(kind: Any) -> bool:
    """Tell whether a class is a model of pydantic, without importing that."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations as types; what cannot be found counts as not annotated."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # a name that only a type checker imports
        found = {}
        for name, kind in getattr(function, "__annotations__", {}).items():
            if not isinstance(kind, str):
                found[name] = kind
                continue
            try:
                found[name] = typing.get_type_hints(
                    _Only({name: kind}), function.__globals__, include_extras=True
                )[name]
            except Exception:
                continue
        return found


class _Only:
    """One annotation by itself."""

    def __init__(self, annotations: dict[str, Any]) -> None:
        self.__annotations__ = annotations


def schema_of(kind: Any, *, results: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a type; `{}` where anything may come.

    Args:
        kind: the type.
        results: of what a function returns, and not of what it is given.

    Raises:
        TypeError: it has none.
    """
    if kind in (Any, object, inspect.Parameter.empty):
        return {}
    if _has_model(kind):
        import pydantic

        schema = pydantic.TypeAdapter(kind).json_schema(mode="serialization" if results else "validation")
    else:
        schema = msgspec.json.schema(kind, schema_hook=_schema_hook)
    return simplify(schema)


def schema_of_result(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of what a function is annotated to return; `{}` where that says nothing.

    An annotation that has no schema (a class of the author's own, a generator) is nobody's mistake here.
    """
    kind = annotations_of(function).get("return", inspect.Parameter.empty)
    try:
        return schema_of(kind, results=True)
    except Exception:  # whatever msgspec or a model says of a type that it does not know
        return {}


def _schema_hook(kind: Any) -> dict[str, Any]:
    if _is_model(kind):
        return kind.model_json_schema()  # type: ignore[no-any-return]
    if isinstance(kind, type) and issubclass(kind, os.PathLike):
        return {"type": "string"}
    raise NotImplementedError


def simplify(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its definitions in their places, and `x or null` as a list of types.

    So dates inside of structs are found, and texts of the command line are
    converted.  Definitions that contain themselves stay as they are.
    """
    schema = dict(schema)
    definitions = schema.pop("$defs", {})
    used: set[str] = set()

    def inside(part: Any, open: tuple[str, ...]) -> Any:
        if isinstance(part, list):
            return [inside(each, open) for each in part]
        if not isinstance(part, dict):
            return part
        name = str(part.get("$ref", "")).removeprefix("#/$defs/")
        if name in definitions:
            if name in open or _is_recursive(name, definitions):
                used.add(name)
                return part
            rest = {key: value for key, value in part.items() if key != "$ref"}
            return {**inside(definitions[name], (*open, name)), **rest}
        return _nullable({key: inside(value, open) for key, value in part.items()})

    done: dict[str, Any] = inside(schema, ())
    if used:
        done["$defs"] = definitions
    return done


def _is_recursive(name: str, definitions: Mapping[str, Any]) -> bool:
    seen: set[str] = set()
    todo = [name]
    while todo:
        for other in _refs(definitions.get(todo.pop(), {})):
            if other == name:
                return True
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return False


def _refs(part: Any) -> Iterable[str]:
    if isinstance(part, dict):
        if isinstance(ref := part.get("$ref"), str):
            yield ref.removeprefix("#/$defs/")
        for each in part.values():
            yield from _refs(each)
    elif isinstance(part, list):
        for each in part:
            yield from _refs(each)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `anyOf: [x, null]` as x with a further type, where x is simple."""
    options = schema.get("anyOf")
    if not isinstance(options, list) or len(options) != 2 or {"type": "null"} not in options:
        return schema
    other = next((each for each in options if each != {"type": "null"}), None)
    if (
        not isinstance(other, dict)
        or not isinstance(other.get("type"), str)
        or {"enum", "const"} & set(other)
    ):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**other, "type": [other["type"], "null"], **rest}


def _has_model(kind: Any) -> bool:
    return _is_model(kind) or any(_has_model(part) for part in typing.get_args(kind))


def is_plain(kind: Any) -> bool:
    """Tell whether values of a type are what flows have, so that nothing is converted."""
    try:
        if kind in PLAIN:
            return True
    except TypeError:
        return False
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return is_plain(typing.get_args(kind)[0])
    if origin is typing.Literal:
        return True
    if origin in (list, dict, typing.Union) or str(origin) == "<class 'types.UnionType'>":
        return all(is_plain(part) for part in typing.get_args(kind))
    return isinstance(kind, typing.TypeVar)


def converter_to(kind: Any) -> Callable[[Any], Any] | None:
    """Return what makes an instance of a type of a flow's value; None where nothing is to be done.

    It raises `ValueError` with what does not fit.
    """
    if is_plain(kind):
        return None
    if _has_model(kind):
        import pydantic

        adapter = pydantic.TypeAdapter(kind)

        def validate(value: Any) -> Any:
            try:
                return adapter.validate_python(value)
            except pydantic.ValidationError as error:
                raise ValueError(_of_pydantic(error)) from None

        return validate
    try:
        msgspec.json.schema(kind)
    except (TypeError, NotImplementedError):
        return None  # a class that msgspec does not know: the function gets the value as it is

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, kind, builtin_types=_KEPT, strict=True)
        except msgspec.ValidationError as error:
            try:  # a date is a date in a flow, and a text where it came as JSON
                return msgspec.convert(value, kind, strict=True)
            except msgspec.ValidationError:
                raise ValueError(str(error)) from None

    return convert


def _of_pydantic(error: Any) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" if each["loc"] else str(each["msg"])
        for each in error.errors()[:10]
    )


def output_of(value: Any) -> Any:
    """Return what a function has returned with structs, enums and the like in it as plain values."""
    return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_inner, str_keys=True)
