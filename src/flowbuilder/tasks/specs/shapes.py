"""Parts of schemas that the specifications of task types are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NOTHING: Final = {"type": "null"}
TEXT: Final = {"type": "string"}
SCALAR: Final = {"type": ["string", "number", "boolean"]}
DURATION: Final = {"type": ["string", "number"], "format": "duration"}
PAIRS: Final = {
    "type": "object",
    "additionalProperties": {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}, {"type": "null"}]},
}


def with_(
    properties: dict[str, Any], *, required: tuple[str, ...] = (), one_of: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the schema of a `with` that is a mapping of these parameters and no others."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    if one_of:
        schema["oneOf"] = [{"required": [name]} for name in one_of]
    return schema


def described(schema: Mapping[str, Any], text: str, **more: Any) -> dict[str, Any]:
    """Return a schema with what it means."""
    return {**schema, "description": text, **more}
