"""`matrix`: once for each combination of a few values, with `include` and `exclude` as CI files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.tree import Call, Const, Dict, List, Text
from flowbuilder.compiler.lower.fields import Field, check_name
from flowbuilder.compiler.lower.values import lower_value, mapping_of
from flowbuilder.compiler.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node, Scalar

_CHANGES: Final = ("include", "exclude")


def read_matrix(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return an expression that yields the combinations, as a list of mappings."""
    if type(node) is not MappingNode or not node.pairs:
        ctx.expected(
            "lists by name", node, key, "write for example `{os: [linux, macos], python: ['3.11', '3.12']}`"
        )
        return None
    axes: list[tuple[Scalar, Expr]] = []
    changes: list[tuple[str, Expr]] = []
    sound = True
    for name, (written, value) in node.pairs.items():
        lowered = lower_value(ctx, value)
        if not _is_list(lowered):
            ctx.expected("a list", value, f"{key}.{name[:40]}", "write its values as `[a, b]`")
            sound = False
        elif name in _CHANGES:
            sound = _are_combinations(ctx, value, lowered, f"{key}.{name}") and sound
            changes.append((name, lowered))
        elif check_name(ctx, written, "name"):
            axes.append((written, lowered))
    if sound:
        _check_excluded(ctx, node, [name.text for name, _ in axes])
    if not sound:
        return ctx.unknown(node)  # so that `item` means something all the same
    return Call(ctx.at(node), "matrix", (mapping_of(ctx, node, axes),), tuple(changes))


def _is_list(value: Expr) -> bool:
    """Tell whether a value is a list, or an expression that may yield one, or was reported before."""
    if type(value) is Const:
        return type(value.value) is list
    return type(value) is not Dict and not (type(value) is Text and value.parts)


def _are_combinations(ctx: Context, node: Node, value: Expr, key: str) -> bool:
    """Tell whether what is included or excluded are mappings, as far as that is known."""
    if type(value) is Const:
        items: Any = value.value
        sound = all(type(item) is dict for item in items)
    elif type(value) is List:
        sound = all(
            type(item.value) is dict if type(item) is Const else type(item) not in (Text, List)
            for item in value.items
        )
    else:
        return True
    if not sound:
        ctx.error(
            "FB262", f"'{key}' takes mappings of names and values", node, "write for example `- os: linux`"
        )
    return sound


def _check_excluded(ctx: Context, node: MappingNode, names: list[str]) -> None:
    """Report what is excluded by a name that no combination has."""
    excluded = node.get("exclude")
    for item in getattr(excluded, "items", ()):
        if type(item) is not MappingNode:
            continue
        for name, _ in item.pairs.values():
            if name.text not in names:
                ctx.error(
                    "FB262",
                    f"no combination has '{name.text[:40]}', so this excludes nothing",
                    name,
                    ctx.near(name.text, names) or "there are " + ", ".join(names),
                )


FIELD: Final = Field(read_matrix, {"type": "object", "minProperties": 1})
