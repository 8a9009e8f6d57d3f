"""`inputs`: each a JSON Schema, with a default or required."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.compiler import ir
from flowbuilder.compiler.inputs import make_validator
from flowbuilder.compiler.lower.fields import check_name
from flowbuilder.compiler.lower.json_schema import TYPES, check_keywords, check_schema, inside
from flowbuilder.compiler.lower.parameters import describe
from flowbuilder.compiler.lower.values import constant
from flowbuilder.compiler.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context


def read_inputs(ctx: Context, node: Node, key: str) -> tuple[ir.Input, ...]:
    """Return the inputs; one whose schema is unsound takes anything, for the checks that follow."""
    if type(node) is not Mapping:
        ctx.expected(
            "a mapping of inputs", node, key, "write for example `day: {type: string, format: date}`"
        )
        return ()
    return tuple([_read_input(ctx, name, value, "input", key) for name, value in node.pairs.values()])


def read_config(ctx: Context, node: Node, key: str) -> tuple[ir.Input, ...]:
    """Return what the project's profile is to give, as inputs are read."""
    if type(node) is not Mapping:
        ctx.expected("a mapping of JSON Schemas", node, key, "write for example `limit: {type: integer}`")
        return ()
    return tuple([_read_input(ctx, name, value, "setting", key) for name, value in node.pairs.values()])


def _read_input(ctx: Context, name: Scalar, node: Node, what: str, whole: str) -> ir.Input:
    check_name(ctx, name, what)
    at, key = ctx.span(name), f"{whole}.{name.text[:40]}"
    anything = ir.Input(name.text, at, {}, True)
    if type(node) is not Mapping:
        short = type(node) is Scalar and node.text in TYPES
        hint = f"write `{{type: {node.text}}}`" if short else "write for example `{type: string}`"  # type: ignore[union-attr]
        ctx.expected("a JSON Schema", node, key, hint)
        return anything
    schema = constant(ctx, node, key)
    if type(schema) is not dict:
        return anything
    check_keywords(ctx, node, "FB240")
    sensitive = schema.pop("sensitive", False)
    if type(sensitive) is not bool:
        ctx.expected("true or false", node.pairs["sensitive"][1], f"{key}.sensitive")
    elif sensitive and what != "input":
        where = node.pairs["sensitive"][0]
        ctx.error("FB211", f"a {what} cannot be 'sensitive'", where, "keep such values in `secrets`")
    required = "default" not in schema
    default = schema.pop("default", None)
    if not check_schema(ctx, node, schema, "FB240"):
        return ir.Input(name.text, at, {}, required, default, sensitive is True)
    if not required:
        _check_default(ctx, f"{what} '{name.text}'", node, schema, default)
    return ir.Input(name.text, at, schema, required, default, sensitive is True)


def _check_default(ctx: Context, name: str, node: Mapping, schema: dict[str, Any], default: Any) -> None:
    where = node.pairs["default"][1]
    for error in make_validator(schema).iter_errors(default):
        at = inside(where, error.instance_path)
        ctx.error("FB241", f"the default of {name} breaks its schema: {describe(error)}", at)
