"""A JSON Schema that stands in a flow: checked as one, with near misses of its keywords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from flowbuilder.compiler.inputs import make_validator
from flowbuilder.compiler.lower.parameters import describe
from flowbuilder.compiler.lower.values import constant
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")

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


def read_schema(ctx: Context, node: Node, key: str, code: str) -> dict[str, Any] | None:
    """Return a JSON Schema, or None where something was reported.

    Args:
        ctx: the file.
        node: where it stands.
        key: what it stands under, for messages.
        code: what is reported of a schema that is none.
    """
    if type(node) is not Mapping:
        short = type(node) is Scalar and node.text in TYPES
        hint = f"write `{{type: {node.text}}}`" if short else "write for example `{type: string}`"  # type: ignore[union-attr]
        ctx.expected("a JSON Schema", node, key, hint)
        return None
    schema = constant(ctx, node, key)
    if type(schema) is not dict:
        return None
    check_keywords(ctx, node, code)
    return schema if check_schema(ctx, node, schema, code) else None


def check_keywords(ctx: Context, node: Node, code: str) -> None:
    """Report what is nearly a keyword: JSON Schema takes any word, and does nothing about it."""
    if type(node) is not Mapping:
        return
    for key, (name, value) in node.pairs.items():
        if key not in _KEYWORDS and (near := ctx.near(key, _KEYWORDS)):
            ctx.error(code, f"'{key[:40]}' is no keyword of JSON Schema", name, near)
        if key in ("items", "additionalProperties", "contains", "not"):
            check_keywords(ctx, value, code)
        elif key in ("properties", "$defs") and type(value) is Mapping:
            for _, inner in value.pairs.values():
                check_keywords(ctx, inner, code)


def check_schema(ctx: Context, node: Mapping, schema: dict[str, Any], code: str) -> bool:
    """Tell whether a schema is one, and report each part that is not."""
    try:
        make_validator(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        violations = list(_meta().iter_errors(schema)) or [error]
        for each in violations:
            where = inside(node, getattr(each, "instance_path", []))
            message = describe(each) if hasattr(each, "kind") else str(each).splitlines()[0][:200]
            hint = _type_hint(ctx, where) if "type" in getattr(each, "instance_path", []) else ""
            ctx.error(code, f"this is no JSON Schema: {message}", where, hint)
        return False
    return True


def _meta() -> Any:
    return jsonschema_rs.Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})


def _type_hint(ctx: Context, node: Node) -> str:
    near = ctx.near(node.text, TYPES) if type(node) is Scalar else ""
    return near or "the types are " + ", ".join(TYPES)


def inside(node: Node, steps: list[str | int]) -> Node:
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
