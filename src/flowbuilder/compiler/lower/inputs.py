"""`inputs`: each a JSON Schema, with a default or required."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from flowbuilder.compiler import ir
from flowbuilder.compiler.inputs import make_validator
from flowbuilder.compiler.lower.fields import check_name
from flowbuilder.compiler.lower.parameters import describe
from flowbuilder.compiler.lower.values import constant
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

_TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")


_KEYWORDS: Final = frozenset(
    [
        "type",
        "enum",
        "const",
        "default",
        "title",
        "description",
        "examples",
        "deprecated",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "items",
        "prefixItems",
        "contains",
        "minContains",
        "maxContains",
        "minItems",
        "maxItems",
        "uniqueItems",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "$ref",
        "$defs",
        "$schema",
        "$id",
        "$anchor",
        "$comment",
        "$vocabulary",
        "$dynamicRef",
        "$dynamicAnchor",
        "definitions",
    ]
)
"""Those of JSON Schema 2020-12, and `definitions`, which much of what is around still uses."""


def read_inputs(ctx: Context, node: Node, key: str) -> tuple[ir.Input, ...]:
    """Return the inputs; one whose schema is unsound takes anything, for the checks that follow."""
    if type(node) is not Mapping:
        ctx.expected(
            "a mapping of inputs", node, key, "write for example `day: {type: string, format: date}`"
        )
        return ()
    return tuple([_read_input(ctx, name, value) for name, value in node.pairs.values()])


def _read_input(ctx: Context, name: Scalar, node: Node) -> ir.Input:
    check_name(ctx, name, "input")
    at, key = ctx.span(name), f"inputs.{name.text[:40]}"
    anything = ir.Input(name.text, at, {}, True)
    if type(node) is not Mapping:
        short = type(node) is Scalar and node.text in _TYPES
        hint = f"write `{{type: {node.text}}}`" if short else "write for example `{type: string}`"  # type: ignore[union-attr]
        ctx.expected("a JSON Schema", node, key, hint)
        return anything
    schema = constant(ctx, node, key)
    if type(schema) is not dict:
        return anything
    _check_keywords(ctx, node)
    required = "default" not in schema
    default = schema.pop("default", None)
    if not _check_schema(ctx, node, schema):
        return ir.Input(name.text, at, {}, required, default)
    if not required:
        _check_default(ctx, name.text, node, schema, default)
    return ir.Input(name.text, at, schema, required, default)


def _check_keywords(ctx: Context, node: Node) -> None:
    """Report what is nearly a keyword: JSON Schema takes any word, and does nothing about it."""
    if type(node) is not Mapping:
        return
    for key, (name, value) in node.pairs.items():
        if key not in _KEYWORDS and (near := ctx.near(key, _KEYWORDS)):
            ctx.error("FB240", f"'{key[:40]}' is no keyword of JSON Schema", name, near)
        if key in ("items", "additionalProperties", "contains", "not"):
            _check_keywords(ctx, value)
        elif key in ("properties", "$defs") and type(value) is Mapping:
            for _, inner in value.pairs.values():
                _check_keywords(ctx, inner)


def _check_schema(ctx: Context, node: Mapping, schema: dict[str, Any]) -> bool:
    """Tell whether a schema is one, and report each part that is not."""
    try:
        make_validator(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        violations = list(_meta().iter_errors(schema)) or [error]
        for each in violations:
            where = _inside(node, getattr(each, "instance_path", []))
            message = describe(each) if hasattr(each, "kind") else str(each).splitlines()[0][:200]
            hint = _type_hint(ctx, where) if "type" in getattr(each, "instance_path", []) else ""
            ctx.error("FB240", f"this is no JSON Schema: {message}", where, hint)
        return False
    return True


def _meta() -> Any:
    return jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})


def _type_hint(ctx: Context, node: Node) -> str:
    near = ctx.near(node.text, _TYPES) if type(node) is Scalar else ""
    return near or "the types are " + ", ".join(_TYPES)


def _check_default(ctx: Context, name: str, node: Mapping, schema: dict[str, Any], default: Any) -> None:
    where = node.pairs["default"][1]
    for error in make_validator(schema).iter_errors(default):
        at = _inside(where, error.instance_path)
        ctx.error("FB241", f"the default of input '{name}' breaks its schema: {describe(error)}", at)


def _inside(node: Node, steps: list[str | int]) -> Node:
    """Return the node that a path leads to, as far as it leads anywhere."""
    for step in steps:
        inner: Node | None = None
        if type(node) is Mapping:
            inner = node.get(str(step))
        elif type(node) is Sequence and type(step) is int and step < len(node.items):
            inner = node.items[step]
        if inner is None:
            break
        node = inner
    return node
