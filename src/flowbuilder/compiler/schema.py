"""The JSON Schema of the language, for editors: made from the tables that the reader reads by.

It describes files as they are written, so a value that may be an expression
may be a text.  What goes beyond shape (names, references, secrets) only the
compiler knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower import lanes, limits
from flowbuilder.compiler.lower.cache import CACHE
from flowbuilder.compiler.lower.defaults import BY_TYPE
from flowbuilder.compiler.lower.fields import IDENTIFIER
from flowbuilder.compiler.lower.flow import FLOW
from flowbuilder.compiler.lower.on_error import ON_ERROR, on_error_schema
from flowbuilder.compiler.lower.repeat import REPEAT, repeat_schema
from flowbuilder.compiler.lower.retry import RETRY, retry_schema
from flowbuilder.compiler.lower.task import DEFAULTS, TASK
from flowbuilder.compiler.lower.triggers import TRIGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.lower.record import Table
    from flowbuilder.core.catalogue import TaskSpec

_EXPRESSION: Final = {"type": "string", "pattern": r"\$\{\{"}
_ID: Final = f"^{IDENTIFIER.pattern}$"


def language_schema(catalogue: Mapping[str, TaskSpec]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a flow file.

    Args:
        catalogue: the task types; each brings the schema of its parameters.
    """
    schema = _record(FLOW)
    schema["patternProperties"] = {"^x-": {}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A FlowBuilder flow",
        **schema,
        "$defs": {
            "tasks": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": _ID},
                "additionalProperties": {"$ref": "#/$defs/task"},
            },
            "task": _task(catalogue),
            "trigger": _record(TRIGGER),
            "retry": retry_schema(_record(RETRY)),
            "on_error": on_error_schema(_record(ON_ERROR)),
            "rate_limit": _record(limits.RATE_LIMIT),
            "circuit_breaker": _record(limits.CIRCUIT_BREAKER),
            "queue": limits.queue_schema(_record(limits.QUEUE)),
            "resources": _record(limits.RESOURCES),
            "concurrency": lanes.concurrency_schema(_record(lanes.CONCURRENCY)),
            "debounce": lanes.debounce_schema(_record(lanes.DEBOUNCE)),
            "repeat": repeat_schema(_record(REPEAT)),
            "cache": _record(CACHE),
            "defaults": _defaults(catalogue),
            **{f"with_{name}": _parameters(spec) for name, spec in sorted(catalogue.items())},
        },
    }


def _record(table: Table) -> dict[str, Any]:
    properties = {name: {"description": key.doc, **key.field.schema} for name, key in table.keys.items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if table.required:
        schema["required"] = list(table.required)
    return schema


def _task(catalogue: Mapping[str, TaskSpec]) -> dict[str, Any]:
    """Return the schema of a task: what `with` may hold depends on `type`."""
    schema = _record(TASK)
    properties = schema["properties"]
    properties["type"] = {
        "description": TASK.keys["type"].doc,
        "oneOf": [{"const": name, "description": spec.summary} for name, spec in sorted(catalogue.items())],
    }
    properties["run"] = {"description": TASK.keys["run"].doc, "type": "string"}
    properties["tasks"] = {"description": TASK.keys["tasks"].doc, "$ref": "#/$defs/tasks"}
    properties["outputs"] = {"description": TASK.keys["outputs"].doc, "type": "object"}
    schema["anyOf"] = [{"required": ["type"]}, {"required": ["run"]}]
    schema["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": {"with": {"$ref": f"#/$defs/with_{name}"}}},
        }
        for name in sorted(catalogue)
    ]
    return schema


def _parameters(spec: TaskSpec) -> dict[str, Any]:
    """Return the schema of a type's parameters as they are written: any value may be an expression."""
    if spec.whole:
        return {"description": spec.summary}
    written: dict[str, Any] = {"description": spec.summary, **spec.params}
    properties = {}
    for name, schema in spec.params.get("properties", {}).items():
        roles = spec.roles.get(name, ())
        if "condition" in roles:
            properties[name] = {**schema, "type": ["boolean", "string"]}
        else:
            properties[name] = schema if "literal" in roles or not schema else _or_expression(schema)
    written["properties"] = properties
    return written


def _or_expression(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that takes an expression wherever the value may stand, at any depth."""
    inner = {
        key: _inner(key, value) for key, value in schema.items() if key not in ("description", "default")
    }
    about = {key: schema[key] for key in ("description", "default") if key in schema}
    return {**about, "anyOf": [inner, _EXPRESSION]} if inner else about


def _inner(key: str, value: Any) -> Any:
    match key:
        case "properties":
            # in a condition the marks may be left out, so any text will do
            return {
                name: {"type": ["boolean", "string"]}
                if name == "when"
                else _or_expression(part)
                if part
                else part
                for name, part in value.items()
            }
        case "items" | "additionalProperties" if isinstance(value, dict) and value:
            return _or_expression(value)
        case "anyOf" | "oneOf" | "allOf":
            # an expression inside fits several of them: that is no reason to refuse it
            return [{name: _inner(name, part) for name, part in each.items()} for each in value]
        case _:
            return value


def _defaults(catalogue: Mapping[str, TaskSpec]) -> dict[str, Any]:
    schema = _record(DEFAULTS)
    by_type = _record(BY_TYPE)
    schema["properties"]["types"] = {
        "description": "Defaults by task type.",
        "type": "object",
        "properties": dict.fromkeys(sorted(catalogue), by_type),
        "additionalProperties": False,
    }
    return schema
