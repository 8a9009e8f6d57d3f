"""Expressions as they are recorded: the compiler's trees, with tasks for which no id is chosen yet."""

from __future__ import annotations

import datetime as dt
import enum
import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.expressions.tree import (
    At,
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
    Member,
    Name,
    Node,
)
from flowbuilder.core.values import duration_text

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Origin
    from flowbuilder.sdk.pyflows.recorder import TaskRecord


class _Nowhere:
    """The origin of what was never text."""

    def span(self, start: int, end: int) -> Any:
        raise NotImplementedError

    authors = span


_ORIGIN: Final[Origin] = _Nowhere()
AT: Final = At(_ORIGIN, 0, 0)
WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOW: Final = -(2**63)
_HIGH: Final = 2**63 - 1


class TaskRef(Node, frozen=True, eq=False):
    """`tasks.<id>`, of a task that is recorded."""

    task: TaskRecord


class NotAValue(Exception):
    """A Python object is no value of a flow: what it is, and how to put it right."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint


def name(id: str) -> Expr:
    """Return a name of the language."""
    return Name(AT, id)


def member(of: Any, key: str) -> Expr:
    """Return `of.key`, or `of['key']` where the key is no word."""
    return Member(AT, of, key) if WORD.fullmatch(key) else Index(AT, of, Const(AT, key))


def call(function: str, *args: Expr) -> Expr:
    """Return `function(args)`."""
    return Call(AT, function, args)


def moment(value: Any) -> Expr | None:
    """Return the call that makes a date, datetime, duration or bytes; None for anything else."""
    match value:
        case dt.datetime():
            if value.tzinfo is None:
                raise NotAValue("a datetime without time zone", "give it one: `tzinfo=datetime.UTC`")
            return call("datetime", Const(AT, value.isoformat()))
        case dt.date():
            return call("date", Const(AT, value.isoformat()))
        case dt.timedelta():
            return call("duration", Const(AT, duration_text(value)))
        case _:
            return None


def simpler(value: Any) -> Any:
    """Return a constant one step nearer to what a flow can say: enums, structs, models, tuples, paths.

    Raises:
        NotAValue: it is nothing of the kind.
    """
    from flowbuilder.sdk.pyflows.kinds import as_plain

    return as_plain(value)


def scalar(value: Any) -> Any:
    """Return a null, boolean, number or text as a value of exactly that type; `...` for anything else.

    Raises:
        NotAValue: a number that no flow can hold.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, enum.Enum):
        return ...
    if isinstance(value, str):
        return str.__str__(value)
    if type(value) is int or (isinstance(value, int) and not isinstance(value, bool)):
        if not _LOW <= value <= _HIGH:
            raise NotAValue("an integer that does not fit 64 bits", "give it as a text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotAValue(f"{float(value)}, which is no number that JSON can hold", "use None instead")
        return float(value)
    return ...


def key_of(key: Any) -> str:
    """Return a mapping's key as text.

    Raises:
        NotAValue: it is neither text nor integer.
    """
    if isinstance(key, str) and not isinstance(key, enum.Enum):
        return str.__str__(key)
    if isinstance(key, enum.Enum):
        return key_of(key.value)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(int(key))
    raise NotAValue(f"a mapping whose key is a {type(key).__name__}", "keys are texts")


def rebuild(expr: Any, change: Callable[[Any], Any]) -> Any:
    """Return a tree in which `change` has replaced nodes: it returns None for those that are to stay."""
    new = change(expr)
    if new is not None:
        return new
    if isinstance(expr, tuple):
        return tuple([rebuild(part, change) for part in expr])
    if isinstance(expr, msgspec.Struct) and not isinstance(expr, At):
        parts = {
            field: rebuild(value, change)
            for field in expr.__struct_fields__
            if isinstance(value := getattr(expr, field), msgspec.Struct | tuple) and field != "at"
        }
        return msgspec.structs.replace(expr, **parts) if parts else expr
    return expr


def tasks_of(expr: Any) -> Iterator[TaskRecord]:
    """Yield the tasks that a tree mentions."""
    if isinstance(expr, TaskRef):
        yield expr.task
    elif isinstance(expr, tuple):
        for part in expr:
            yield from tasks_of(part)
    elif isinstance(expr, msgspec.Struct) and not isinstance(expr, At):
        for field in expr.__struct_fields__:
            yield from tasks_of(getattr(expr, field))


def results_in(output: Expr, key: str, over: Any) -> Expr:
    """Return what stands for one member of each result of a map: a list, or a mapping where it goes over one.

    Args:
        output: of the map, whose elements are mappings; null where one has failed.
        key: the member.
        over: what the map goes over; whether that is a mapping may be known only when the flow runs.
    """
    one = Call(AT, "default", (member(name("each"), key), Const(AT, None)), (), "filter")
    pairs = Call(AT, "items", (output,), (), "method")
    mapping = DictComp(AT, name("key"), one, (For(("key", "each"), pairs, ()),))
    if isinstance(over, dict):
        return mapping
    listed = ListComp(AT, one, (For(("each",), output, ()),))
    if isinstance(over, list | tuple | range):
        return listed
    is_mapping = Compare(AT, call("type", output), (("==", Const(AT, "mapping")),))
    return Choice(AT, is_mapping, mapping, listed)


def list_of(items: list[Expr]) -> Expr:
    """Return a list of expressions."""
    return List(AT, tuple(items))


def mapping_of(items: dict[str, Expr]) -> Expr:
    """Return a mapping of expressions."""
    return Dict(AT, tuple((Const(AT, key), value) for key, value in items.items()))
