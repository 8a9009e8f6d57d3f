"""The task types, as functions for flows in Python: `from flowbuilder.types import http, shell`.

Each records a task of its type: keywords are the parameters of the type, and
keys of a task where it has no parameter of the name.  The first parameter
may stand by itself: `http("https://shop.example/orders", retry=3)`.  A type
whose name Python keeps to itself has an underscore: `assert_`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbuilder.sdk.pyflows.calling import call, known_types


def __getattr__(word: str) -> Callable[..., Any]:
    type = word if word in known_types() else word.rstrip("_")
    if word.startswith("_") or type not in known_types():
        raise AttributeError(f"there is no task type '{word}'")

    def record(*args: Any, **words: Any) -> Any:
        return call(type, *args, **words)

    record.__name__ = record.__qualname__ = type
    record.__doc__ = known_types()[type].summary
    return record


def __dir__() -> list[str]:
    return sorted(known_types())
