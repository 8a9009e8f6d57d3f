"""A run's inputs, from the command line and from a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.cli.parsing import UsageError, nearest
from flowbuilder.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowbuilder.compiler.ir import Input


def gather_inputs(
    declared: Iterable[Input],
    pairs: Iterable[str],
    file: str | None,
    check: Callable[[Mapping[str, Any]], object],
) -> dict[str, Any]:
    """Return the inputs that a command gives, texts converted by the inputs' schemas.

    Whether they fit their schemas is asked here only where there are texts
    that are no values, so that all that is wrong is said at once: the engine
    asks it for every way to start a run.

    Args:
        declared: the flow's inputs.
        pairs: `key=value` texts; the last of a key wins.
        file: a JSON file with a mapping of inputs, `-` for standard input; pairs win over it.
        check: raises `InputError` for inputs that do not fit.

    Raises:
        UsageError: for a pair without `=`, a name that is no input, a file that cannot be used.
        InputError: for texts that are no values of their input's type, with all else that is wrong.
    """
    declared = list(declared)
    schemas = {one.name: one.schema for one in declared}
    hidden = {one.name for one in declared if one.sensitive}
    inputs = _from_file(file) if file else {}
    violations: list[tuple[str, str]] = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"'{pair}' is no input: write '{pair}=VALUE'", "run")
        if name not in schemas:
            known = "its inputs are " + ", ".join(schemas) if schemas else "the flow has no inputs"
            raise UsageError(f"there is no input '{name}'", "run", nearest(name, schemas) or known)
        try:
            inputs[name] = from_text(text, schemas[name])
        except ValueError as error:
            what = (
                str(error) if name not in hidden else "does not fit its type (it is sensitive, and not shown)"
            )
            violations.append((f"$.{name}", what))
    if violations:
        raise InputError([*violations, *_others(inputs, {path for path, _ in violations}, check)])
    return inputs


def _others(
    inputs: Mapping[str, Any], but: set[str], check: Callable[[Mapping[str, Any]], object]
) -> list[tuple[str, str]]:
    """Return what is wrong with inputs besides those that could not be read."""
    try:
        check(inputs)
    except InputError as error:
        return [(path, what) for path, what in error.violations if path not in but]
    return []


def from_text(text: str, schema: Mapping[str, Any]) -> Any:
    """Return a text as a value of the schema's type.

    Numbers, booleans and null are spelled as in JSON; lists and mappings are
    JSON; a text is itself.  Of several types the first that fits is taken, a
    text last.  Without a type JSON is tried, then it is a text.

    Raises:
        ValueError: says which type the text is none of.

    Example:
        >>> from_text("3", {"type": "integer"}), from_text("3", {"type": "string"})
        (3, '3')
    """
    wanted = schema.get("type")
    if wanted is None:
        return _json_or_text(text, (*schema.get("enum", ()), schema.get("const")))
    types = [wanted] if isinstance(wanted, str) else list(wanted)
    for kind in sorted(types, key="string".__eq__):
        if kind == "string":
            return text
        value = _parse(text)
        if _is(value, kind):
            return int(value) if kind == "integer" else value
    shape = next((_SHAPES[kind] for kind in types if kind in _SHAPES), "")
    raise ValueError(f"'{_shortened(text)}' is no {' or '.join(types)}{shape}")


def _json_or_text(text: str, allowed: Iterable[Any]) -> Any:
    value = _parse(text)
    return text if value is _NO_JSON or text in allowed else value


def _parse(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return _NO_JSON


def _is(value: Any, kind: str) -> bool:
    if value is _NO_JSON:
        return False
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "integer":
            return number and value == int(value)
        case "number":
            return number
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
    return False


def _from_file(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.buffer.read() if file == "-" else _bytes_of(file)
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON: {error}", "run") from None
    if not isinstance(found, dict):
        raise UsageError(f"{file} holds no mapping of inputs", "run", 'write {"input": value, …}')
    return found


def _bytes_of(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "run") from None


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


_NO_JSON: Any = object()
_SHAPES = {"array": "; write JSON, such as [1, 2]", "object": """; write JSON, such as {"a": 1}"""}
"""What to write where a text is no list, or no mapping."""
