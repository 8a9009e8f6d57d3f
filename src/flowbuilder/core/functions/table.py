"""The table of functions: what an expression may call."""

from __future__ import annotations

import functools
import inspect
import uuid as uuids
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from flowbuilder.core.functions import (
    coding,
    dates,
    kinds,
    lists,
    mappings,
    numbers,
    operators,
    patterns,
    text,
    writing,
)


class Function(msgspec.Struct, frozen=True):
    """A function of expressions."""

    name: str
    call: Callable[..., Any]
    budget: bool
    """Its first argument is the budget of steps."""
    method: bool = False
    """May also be written `a.f(…)`."""
    special: bool = False
    """The code generator knows it: it is not called as it stands here."""

    @property
    def signature(self) -> inspect.Signature:
        """The parameters that an author gives."""
        return _signature(self.call, self.budget)


@functools.lru_cache(maxsize=256)
def _signature(call: Callable[..., Any], budget: bool) -> inspect.Signature:
    signature = inspect.signature(call)
    parameters = list(signature.parameters.values())
    return signature.replace(parameters=parameters[1:] if budget else parameters)


def raw(value: Any) -> Any:
    """Return the value as it is: in a `url`, it is not percent-encoded."""
    return value


def uuid(context: Any, place: str) -> str:
    """Return a UUID that derives from run, task, element, place in the text and occurrence."""
    name = f"{context.place}/{place}/{context.occurrence(place)}"
    return str(uuids.uuid5(uuids.NAMESPACE_URL, name))


def _default(value: Any, otherwise: Any) -> Any:
    """Return `otherwise` where the value is null or a step of its path is missing."""
    return otherwise if value is None else value


def _exists(value: Any) -> bool:
    """Tell whether no step of a path is missing."""
    return value is not operators.MISSING


def _now() -> Any:
    """Return the moment when the task became ready."""


def _today(zone: Any = None) -> Any:
    """Return the day when the task became ready."""


def _uuid() -> Any:
    """Return a UUID, the same one whenever this place is evaluated for this run."""


_BY_NAME: Final[Mapping[str, Callable[..., Any]]] = {
    "upper": text.upper,
    "lower": text.lower,
    "title": text.title,
    "strip": text.strip,
    "lstrip": text.lstrip,
    "rstrip": text.rstrip,
    "removeprefix": text.removeprefix,
    "removesuffix": text.removesuffix,
    "startswith": text.startswith,
    "endswith": text.endswith,
    "replace": text.replace,
    "split": text.split,
    "splitlines": text.splitlines,
    "zfill": text.zfill,
    "ljust": text.ljust,
    "rjust": text.rjust,
    "count": text.count,
    "index": text.index,
    "join": text.join,
    "truncate": text.truncate,
    "fixed": text.fixed,
    "str": writing.str_,
    "int": kinds.int_,
    "float": kinds.float_,
    "bool": kinds.bool_,
    "type": kinds.type_,
    "abs": numbers.abs_,
    "round": numbers.round_,
    "floor": numbers.floor,
    "ceil": numbers.ceil,
    "sum": numbers.sum_,
    "min": numbers.min_,
    "max": numbers.max_,
    "len": lists.len_,
    "range": lists.range_,
    "list": lists.list_,
    "first": lists.first,
    "last": lists.last,
    "sorted": lists.sorted_,
    "reversed": lists.reversed_,
    "unique": lists.unique,
    "flatten": lists.flatten,
    "chunk": lists.chunk,
    "compact": lists.compact,
    "zip": lists.zip_,
    "enumerate": lists.enumerate_,
    "any": lists.any_,
    "all": lists.all_,
    "group_by": lists.group_by,
    "index_by": lists.index_by,
    "get": mappings.get,
    "keys": mappings.keys,
    "values": mappings.values,
    "items": mappings.items,
    "dict": mappings.dict_,
    "merge": mappings.merge,
    "pick": mappings.pick,
    "omit": mappings.omit,
    "matrix": mappings.matrix,
    "matches": patterns.matches,
    "find_all": patterns.find_all,
    "re_replace": patterns.re_replace,
    "re_split": patterns.re_split,
    "to_json": writing.to_json_,
    "from_json": coding.from_json,
    "base64_encode": coding.base64_encode,
    "base64_decode": coding.base64_decode,
    "urlencode": coding.urlencode,
    "urldecode": coding.urldecode,
    "url_parse": coding.url_parse,
    "url_join": coding.url_join,
    "html_escape": coding.html_escape,
    "sha256": coding.sha256,
    "hmac_sha256": coding.hmac_sha256,
    "digest": coding.digest,
    "uuid5": coding.uuid5,
    "basename": coding.basename,
    "dirname": coding.dirname,
    "date": dates.date,
    "datetime": dates.datetime,
    "duration": dates.duration,
    "in_zone": dates.in_zone,
    "format_date": dates.format_date,
    "start_of": dates.start_of,
    "timestamp": dates.timestamp,
    "year": dates.year,
    "month": dates.month,
    "day": dates.day,
    "weekday": dates.weekday,
    "hour": dates.hour,
    "minute": dates.minute,
    "second": dates.second,
    "days": dates.days,
    "hours": dates.hours,
    "minutes": dates.minutes,
    "seconds": dates.seconds,
    "raw": raw,
}
_SPECIAL: Final[Mapping[str, Callable[..., Any]]] = {
    "default": _default,
    "exists": _exists,
    "now": _now,
    "today": _today,
    "uuid": _uuid,
}
PARTS: Final = ("year", "month", "day", "weekday", "hour", "minute", "second", "date", "timestamp")
"""Functions that give a part of a datetime."""
METHODS: Final = frozenset(
    [
        "upper",
        "lower",
        "title",
        "strip",
        "lstrip",
        "rstrip",
        "removeprefix",
        "removesuffix",
        "startswith",
        "endswith",
        "replace",
        "split",
        "splitlines",
        "zfill",
        "ljust",
        "rjust",
        "count",
        "index",
        "join",
        "get",
        "keys",
        "values",
        "items",
    ]
)


def _function(name: str, call: Callable[..., Any]) -> Function:
    first = call.__code__.co_varnames[0] if call.__code__.co_argcount else ""
    return Function(name, call, first == "budget", name in METHODS)


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {name: _function(name, call) for name, call in _BY_NAME.items()}
    | {name: Function(name, call, budget=False, special=True) for name, call in _SPECIAL.items()}
)
"""All functions by name."""
