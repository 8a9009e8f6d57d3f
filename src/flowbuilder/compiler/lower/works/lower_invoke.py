"""A call of a task type: its parameters, by their roles, and its effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const, Expr
from flowbuilder.compiler.lower.parameters import check_parameters
from flowbuilder.compiler.lower.url import encode_values
from flowbuilder.compiler.lower.values import lower_condition, lower_value, mapping_of
from flowbuilder.compiler.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.core.catalogue import TaskSpec
    from flowbuilder.core.policies import Effect

_INSTEAD = {"code": "args", "query": "params", "call": "args"}
"""Where values go that may not stand in a literal parameter."""


def lower(ctx: Context, key: Scalar, spec: TaskSpec, values: dict[str, Any], mentions: Mentions) -> ir.Work:
    """Return the call."""
    node, pairs = _parameters(ctx, key, spec, values)
    if spec.whole:
        params = lower_value(ctx, node)
    else:
        items, originals = [], {}
        for name_key, value in pairs.values():
            original, lowered = _parameter(ctx, spec, name_key.text, value)
            originals[name_key.text] = original
            items.append((name_key, lowered))
        params = mapping_of(ctx, node, items)
        given = values.get("with")
        if (
            given is None or type(given) is Mapping
        ):  # else it was reported that there are no parameters to check
            check_parameters(ctx, spec, node, pairs, originals)
    mentions.of(params)
    effect = values.get("effect") or _effect(spec, params)
    return ir.Invoke(spec.name, params, effect, values.get("executor", "auto"))


def _parameters(
    ctx: Context, key: Scalar, spec: TaskSpec, values: dict[str, Any]
) -> tuple[Node, dict[str, tuple[Scalar, Node]]]:
    """Return the parameters as written, `run` and the type's defaults among them."""
    node = values.get("with")
    pairs: dict[str, tuple[Scalar, Node]] = {}
    defaults = ctx.defaults[1].get(spec.name, {}).get("with")
    if type(defaults) is Mapping:
        pairs.update(defaults.pairs)
    if type(node) is Mapping:
        pairs.update(node.pairs)
    elif node is not None and not spec.whole:
        ctx.error(
            "FB203",
            f"the 'with' of a task of type '{spec.name}' must be a mapping",
            node,
            "write its parameters by name: " + ", ".join(list(spec.params.get("properties", {}))[:5]),
        )
    if "run" in values:
        run = values["run"]
        if type(node) is Mapping and "command" in node.pairs:
            ctx.error(
                "FB211",
                "'run' and 'command' both give the script",
                node.pairs["command"][0],
                "keep one of them",
            )
        pairs["command"] = (Scalar("command", "", run.start, run.end), run)
    return node or key, pairs


def _parameter(ctx: Context, spec: TaskSpec, name: str, node: Node) -> tuple[Expr, Expr]:
    """Return a parameter as written, and as its role has it."""
    roles = spec.roles.get(name, ())
    if "condition" in roles:
        condition = lower_condition(ctx, node, name) or ctx.unknown(node)
        return condition, condition
    value = lower_value(ctx, node)
    if "literal" in roles and type(value) is not Const:
        instead = _INSTEAD.get(name)
        ctx.error(
            "FB216",
            f"'{name}' takes no expressions",
            node,
            f"give values by `{instead}`" if instead else "write the value itself",
            "to mean the characters, write '$${{'",
        )
        return value, ctx.unknown(node)
    if "shell" in roles and type(value) is not Const:
        from flowbuilder.compiler.lower.shell import lower_script  # start-up time: most flows have no script

        return value, lower_script(ctx, value, node)
    if "url" in roles and type(value) is not Const:
        return value, encode_values(value)
    return value, value


def _effect(spec: TaskSpec, params: Expr) -> Effect:
    """Return the type's effect, or the one that its deciding parameter names."""
    if spec.effect_of is not None:
        return spec.effect_of(_constants(params))
    if spec.effect_by is None:
        return spec.effect
    name, effects = spec.effect_by
    found = parameter(params, name)
    if found is None:
        value = spec.params.get("properties", {}).get(name, {}).get("default")
    elif type(found) is Const:
        value = found.value
    else:
        return spec.effect
    return effects.get(str(value).upper(), spec.effect)


def _constants(params: Expr) -> dict[str, Any]:
    """Return the parameters of a `with`; None stands for what only a run knows."""
    if type(params) is Const:
        return params.value if type(params.value) is dict else {}
    items = getattr(params, "items", ())
    return {
        str(key.value): value.value if type(value) is Const else None
        for key, value in items
        if type(key) is Const
    }


def parameter(params: Expr, name: str) -> Expr | None:
    """Return one parameter of a `with` that is lowered, or None."""
    if type(params) is Const:
        if type(params.value) is dict and name in params.value:
            return Const(params.at, params.value[name])
        return None
    for key, value in getattr(params, "items", ()):
        if type(key) is Const and key.value == name:
            return value  # type: ignore[no-any-return]
    return None
