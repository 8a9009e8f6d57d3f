"""Task types by name: `call("http", …)`, and those that have a function of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.sdk.pyflows.calls import OPTIONS, duration, option_name, output_of, record, split
from flowbuilder.sdk.pyflows.places import Place, here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.yaml_text import Part
from flowbuilder.tasks.registry import catalogue

if TYPE_CHECKING:
    from flowbuilder.core.catalogue import TaskSpec


def known_types() -> Mapping[str, TaskSpec]:
    """Return the task types that flows may call."""
    return catalogue(Path.cwd())


def call(type: str, /, *args: Any, **words: Any) -> Any:
    """Record a task of any type: `call("http", url="https://…", retry=3)`.

    Keywords are the type's parameters, and keys of a task where it has no
    parameter of the name.  Returns what stands for its output.
    """
    place = here()
    spec = known_types().get(type)
    if spec is not None and spec.whole:
        values, options = split(words, (), place, f"'{type}'")
        if len(args) != 1:
            raise wrong("FB292", f"'{type}' takes one value", place)
        value = Part(None, place) if args[0] is None else args[0]  # which says more than nothing
        made = record(type, type, value, options, place)
        made.places["with"] = place.of_argument(0)
        return output_of(made)
    known = None if spec is None else list(spec.params.get("properties", {}))
    words = _by_name(type, args, words, known, place)
    values, options = split(words, known, place, f"the type '{type}'") if known else _of_unknown(words)
    made = record(type, type, values or None, options, place)
    made.places |= {f"with.{word}": place.of_argument(word) for word in values}
    return output_of(made)


def _by_name(
    type: str, args: tuple[Any, ...], words: Mapping[str, Any], known: list[str] | None, place: Place
) -> dict[str, Any]:
    """Return all parameters by name: one may stand by place, the type's first."""
    if not args:
        return _unreserved(words, known)
    if len(args) > 1 or not known or known[0] in words:
        raise wrong("FB292", f"the type '{type}' takes its parameters by name", place)
    return {known[0]: args[0], **_unreserved(words, known)}


def _unreserved(words: Mapping[str, Any], known: list[str] | None) -> dict[str, Any]:
    """Return keywords with `for_` as `for`, where the type has such a parameter."""
    return {
        (word.rstrip("_") if known and word.endswith("_") and word.rstrip("_") in known else word): value
        for word, value in words.items()
    }


def _of_unknown(words: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters and options of a type that nobody knows here; the compiler says what is wrong with it."""
    options = {word: value for word, value in words.items() if option_name(word) in OPTIONS}
    return {word: value for word, value in words.items() if word not in options}, options


def switch(*cases: tuple[Any, Any], default: Any = None, **options: Any) -> Any:
    """Record a choice: the value of the first case that holds: `switch((x > 9, "high"), (x > 3, "middle"), default="low")`."""
    place = here()
    if not cases or not all(isinstance(case, tuple) and len(case) == 2 for case in cases):
        raise wrong("FB292", "`switch` takes pairs of a condition and a value", place)
    _, options = split(options, (), place, "`switch`")
    params = {
        "cases": [{"when": condition, "value": value} for condition, value in cases],
        "default": default,
    }
    return output_of(record("switch", "switch", params, options, place))


def sleep(length: Any = None, /, *, until: Any = None, **options: Any) -> Any:
    """Record a wait: `sleep("10s")`, or `sleep(until=moment)`; `needs=` says after what."""
    import datetime as dt

    place = here()
    if (length is None) == (until is None):
        raise wrong("FB292", "`sleep` takes a duration, or `until=`", place, 'write `sleep("10s")`')
    if isinstance(length, dt.timedelta):
        length = duration(length)
    params = {"until": until} if length is None else {"for": length}
    _, options = split(options, (), place, "`sleep`")
    made = record("sleep", "sleep", params, options, place)
    made.places["with.for"] = place.of_argument(0)
    return output_of(made)


def wait(**words: Any) -> Any:
    """Record a wait for a signal or an event: `wait(signal="go", timeout="1h")`; its output is the payload."""
    return _of_type("wait", words)


def approval(**words: Any) -> Any:
    """Record a wait for people's approval: `approval(message="Ship it?", assignees=["ann"])`."""
    return _of_type("approval", words)


def emit(event: Any, payload: Any = None, **words: Any) -> Any:
    """Record the publishing of an event."""
    return _of_type("emit", {"event": event, **({} if payload is None else {"payload": payload}), **words})


def _of_type(type: str, words: Mapping[str, Any]) -> Any:
    place = here()
    spec = known_types().get(type)
    if spec is None:
        values, options = _of_unknown(words)
    else:
        values, options = split(words, list(spec.params.get("properties", {})), place, f"`{type}`")
    made = record(type, type, values, options, place)
    made.places |= {f"with.{word}": place.of_argument(word) for word in values}
    return output_of(made)


__all__ = ["approval", "call", "emit", "sleep", "switch", "wait"]
