"""`connections`: names that the project's profile describes, each with its type where the flow says one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import TEXT, read_scalars
from flowbuilder.compiler.nodes import Mapping, Node, Scalar
from flowbuilder.core.connections import CONNECTION_TYPES

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]{0,99}"


def read_connections(ctx: Context, node: Node, key: str) -> tuple[ir.Needed, ...]:
    """Return the connections, from a list of names or a mapping of names to types."""
    found: dict[str, ir.Needed] = {}
    if type(node) is Mapping:
        for name, value in node.pairs.values():
            if _check_name(ctx, name):
                found[name.text] = ir.Needed(name.text, ctx.span(name), _read_type(ctx, value, name, key))
    else:
        for scalar in read_scalars(ctx, node, key):
            if _check_name(ctx, scalar):
                found.setdefault(scalar.text, ir.Needed(scalar.text, ctx.span(scalar)))
    return tuple(found.values())


def _check_name(ctx: Context, name: Scalar) -> bool:
    if re.fullmatch(_NAME, name.text):
        return True
    what = f"the connection '{name.text[:60]}' must consist of letters, digits, '_' and '-'"
    hint = "its URL stands in the project's flowbuilder.toml" if "://" in name.text else ""
    ctx.error("FB204", what, name, hint)
    return False


def _read_type(ctx: Context, node: Node, name: Scalar, key: str) -> str | None:
    text = TEXT.read(ctx, node, f"{key}.{name.text[:40]}")
    if text is None or text in CONNECTION_TYPES:
        return text  # type: ignore[no-any-return]
    near = ctx.near(text, CONNECTION_TYPES) or "there are " + ", ".join(CONNECTION_TYPES)
    ctx.error("FB254", f"there is no type of connections '{text[:40]}'", node, near)
    return None
