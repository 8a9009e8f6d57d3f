"""`defaults`: what tasks do not say themselves, for all of them and by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower.context import RETRY_AT
from flowbuilder.compiler.lower.fields import Field
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.task import DEFAULTS, TASK
from flowbuilder.compiler.lower.work import LATER_TYPES
from flowbuilder.compiler.nodes import Mapping, Node

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

BY_TYPE: Final = Table(
    "the defaults of a type",
    {**DEFAULTS.keys, "with": Key(TASK.keys["with"].field, "Parameters of all tasks of the type.")},
    later=DEFAULTS.later,
    elsewhere={key: hint for key, hint in DEFAULTS.elsewhere.items() if key != "with"},
)


def _read_types(ctx: Context, node: Node, key: str) -> dict[str, dict[str, Any]]:
    if type(node) is not Mapping:
        ctx.expected(
            "a mapping of task types",
            node,
            f"defaults.{key}",
            "write for example `types: {http: {timeout: 10s}}`",
        )
        return {}
    found = {}
    for name, value in node.pairs.values():
        if name.text not in ctx.catalogue:
            if name.text in LATER_TYPES:
                ctx.error("FB207", f"the task type '{name.text}' comes in a later release", name)
            else:
                ctx.error(
                    "FB206",
                    f"there is no task type '{name.text[:60]}'",
                    name,
                    ctx.near(name.text, ctx.catalogue),
                )
        found[name.text] = read_record(ctx, value, BY_TYPE, f"defaults.types.{name.text[:40]}")
        _mark_retry(ctx, value, found[name.text])
        given = found[name.text].get("with")
        if given is not None and type(given) is not Mapping:
            ctx.expected("a mapping of parameters", given, "with")
    return found


def _mark_retry(ctx: Context, node: Node, values: dict[str, Any]) -> None:
    """Keep where a retry stands, for the warning about writes that are repeated because of it."""
    if "retry" in values and type(node) is Mapping:
        values[RETRY_AT] = ctx.span(node.pairs["retry"][0])


_ALL: Final = Table(
    "`defaults`",
    {**DEFAULTS.keys, "types": Key(Field(_read_types, {}), "Defaults by task type.")},
    later=DEFAULTS.later,
    elsewhere=DEFAULTS.elsewhere,
)


def read_defaults(ctx: Context, node: Node) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the values of `defaults`, and those by type."""
    values = read_record(ctx, node, _ALL, "'defaults'")
    types = values.pop("types", {})
    _mark_retry(ctx, node, values)
    return values, types
