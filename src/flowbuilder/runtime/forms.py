"""What is filled in with an approval, against its JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.inputs import make_validator
from flowbuilder.core.values import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_form(schema: Mapping[str, Any] | None, form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return all that is wrong with a form, as (path, what) pairs."""
    if schema is None:
        return [(f"$.{name}", "there is no form to fill in") for name in form]
    return [
        (_path(error.instance_path), str(error.message)[:300])
        for error in make_validator(schema).iter_errors(to_json(dict(form)))
    ]


def with_defaults(schema: Mapping[str, Any] | None, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form with the defaults of its schema filled in."""
    properties = (schema or {}).get("properties", {})
    defaults = {
        name: part["default"]
        for name, part in properties.items()
        if isinstance(part, dict) and "default" in part
    }
    return {**defaults, **form}


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if type(step) is int else f".{step}" for step in steps)
