"""Mappings with known keys: a flow, a task, a retry policy.

One table a kind of mapping says which keys there are, what each takes and
what it is for; it serves the reader, the JSON Schema of the language and the
hints about mistyped keys.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.fields import Field
    from flowbuilder.compiler.nodes import Node


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key: what it takes, and what it is for."""

    field: Field
    doc: str


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """The keys of one kind of mapping."""

    what: str
    """What has these keys, for messages: `a task`."""
    keys: Mapping[str, Key]
    later: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Keys of a later release, each with what to do until then."""
    elsewhere: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Keys that people look for here, with where they stand or what they are called."""
    required: tuple[str, ...] = ()
    open_prefix: str = "\0"
    """Keys that begin so hold anything and mean nothing."""


def read_record(ctx: Context, node: Node, table: Table, name: str) -> dict[str, Any]:
    """Return the values of a mapping's keys, without those that were wrong and reported.

    Args:
        ctx: the file.
        node: what should be a mapping.
        table: its keys.
        name: what the mapping belongs to, for messages: `task 'fetch'`.
    """
    if type(node) is not MappingNode:
        ctx.error("FB203", f"{name} must be a mapping", node, f"write its keys below, such as {_some(table)}")
        return {}
    values: dict[str, Any] = {}
    keys = table.keys
    for text, (key, value) in node.pairs.items():
        known = keys.get(text)
        if known is not None:
            found = known.field.read(ctx, value, text)
            if found is not None:
                values[text] = found
        elif text in table.later:
            ctx.error("FB205", f"'{text}' comes in a later release", key, table.later[text])
        elif not text.startswith(table.open_prefix):
            hint = table.elsewhere.get(text) or ctx.near(text, keys) or f"it may have {_some(table, 40)}"
            ctx.error("FB201", f"{table.what} has no key '{text[:60]}'", key, hint)
    for text in table.required:
        if text not in node.pairs:
            ctx.error("FB202", f"{name} lacks the key '{text}'", node, f"{text}: {keys[text].doc}")
    return values


def _some(table: Table, most: int = 4) -> str:
    return ", ".join(f"`{key}`" for key in list(table.keys)[:most])
