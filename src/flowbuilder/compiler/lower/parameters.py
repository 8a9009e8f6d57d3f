"""`with` against the JSON Schema of its type: constants are checked, expressions pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from flowbuilder.compiler.expressions.tree import Const, Dict, Expr, List, Text
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.core.catalogue import TaskSpec

_validators: dict[int, tuple[TaskSpec, Any]] = {}
"""By identity of the specification, which is kept alive beside it: making a validator takes 100 µs."""

_ABOUT_KEYS: Final = (Kind.Required, Kind.AdditionalProperties, Kind.MinProperties, Kind.MaxProperties)
"""Violations that no value of an expression can mend."""


def check_parameters(
    ctx: Context,
    spec: TaskSpec,
    node: Node,
    pairs: dict[str, tuple[Scalar, Node]],
    originals: dict[str, Expr],
) -> None:
    """Report parameters that are unknown, missing, or of the wrong kind."""
    properties = spec.params.get("properties", {})
    closed = spec.params.get("additionalProperties") is False
    unknown = [name for name in pairs if closed and name not in properties]
    for name in unknown:
        ctx.error(
            "FB212",
            f"the task type '{spec.name}' has no parameter '{name[:60]}'",
            pairs[name][0],
            ctx.near(name, properties) or "it takes " + ", ".join(properties),
        )
    holes: list[tuple[str | int, ...]] = []
    instance = {
        name: _instance(value, (name,), holes) for name, value in originals.items() if name not in unknown
    }
    validator = _validator(spec)
    if validator.is_valid(instance):
        return
    for error in validator.iter_errors(instance):
        path = tuple(error.instance_path)
        if isinstance(error.kind, _ABOUT_KEYS) or not any(hole[: len(path)] == path for hole in holes):
            _report(ctx, spec, error, path, node, pairs)


def _validator(spec: TaskSpec) -> Any:
    known = _validators.get(id(spec))
    if known is None:
        known = _validators[id(spec)] = (spec, jsonschema_rs.validator_for(dict(spec.params), offline=True))
    return known[1]


def _instance(value: Expr, path: tuple[str | int, ...], holes: list[tuple[str | int, ...]]) -> Any:
    """Return a value with something harmless for each expression, whose path is noted."""
    if type(value) is Const:
        return value.value
    if type(value) is Dict:
        return {k.value: _instance(v, (*path, k.value), holes) for k, v in value.items}  # type: ignore
    if type(value) is List:
        return [_instance(item, (*path, number), holes) for number, item in enumerate(value.items)]
    holes.append(path)
    # a longer text will be a text, whatever its values are
    return "x" if type(value) is Text else None


def _report(
    ctx: Context,
    spec: TaskSpec,
    error: Any,
    path: tuple[str | int, ...],
    node: Node,
    pairs: dict[str, tuple[Scalar, Node]],
) -> None:
    where = _node_at(node, pairs, path)
    name = "".join(f"[{step}]" if type(step) is int else f".{step}" for step in path).lstrip(".")
    if isinstance(error.kind, Kind.Required) and not path:
        missing = error.kind.property
        about = spec.params.get("properties", {}).get(missing, {}).get("description", "")
        ctx.error("FB213", f"the task type '{spec.name}' needs the parameter '{missing}'", where, about)
        return
    if isinstance(error.kind, Kind.OneOfNotValid | Kind.OneOfMultipleValid) and not path:
        names = [" and ".join(each.get("required", [])) for each in spec.params.get("oneOf", [])]
        ctx.error("FB213", f"the task type '{spec.name}' needs exactly one of " + ", ".join(names), where)
        return
    schema = spec.params.get("properties", {}).get(path[0], {}) if path else {}
    ctx.error(
        "FB215",
        f"the parameter '{name}' does not fit: {describe(error)}",
        where,
        schema.get("description", ""),
    )


def describe(error: Any) -> str:
    """Return what a violation of a JSON Schema is about, in at most 200 characters."""
    if isinstance(error.kind, Kind.AnyOf | Kind.OneOfNotValid | Kind.OneOfMultipleValid):
        what = error.message.partition(" is ")[0]
        several = isinstance(error.kind, Kind.OneOfMultipleValid)
        return f"{what[:150]} has {'more than one' if several else 'none'} of the forms that it may have"
    return str(error.message.splitlines()[0][:200])


def _node_at(node: Node, pairs: dict[str, tuple[Scalar, Node]], path: tuple[str | int, ...]) -> Node:
    """Return the node that a path leads to, or the nearest one above it."""
    if not path or path[0] not in pairs:
        return node
    found = pairs[str(path[0])][1]
    for step in path[1:]:
        inner: Node | None = None
        if type(found) is Mapping:
            inner = found.get(str(step))
        elif type(found) is Sequence and type(step) is int and step < len(found.items):
            inner = found.items[step]
        if inner is None:
            return found
        found = inner
    return found
