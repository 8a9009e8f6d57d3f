"""Whether a task type is complete: its schemas, its effect, its words for people, its page and its example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from flowbuilder.compiler.inputs import make_validator
from flowbuilder.core.catalogue import Role, TaskSpec
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.core.policies import Effect
from flowbuilder.core.values import to_json
from flowbuilder.testing.flows import load_text, run_flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*")


async def check_task_type(type: Any, folder: Path | None = None) -> list[str]:
    """Return what is wrong with a task type, in words; nothing if it is complete.

    Its example, a flow in YAML, is run in memory: it must succeed, and use
    the type, whose outputs must fit their schema.

    Args:
        type: an object with `spec`, and `run` or `work`; `docs` and `example` are paths, or texts.
        folder: where the example is run as if it lay there.
    """
    spec = getattr(type, "spec", None)
    if not isinstance(spec, TaskSpec):
        return ["it has no `spec`, a `TaskSpec` that says what it is"]
    found = [*_spec(spec), *_schemas(spec), *_docs(type, spec)]
    if not (callable(getattr(type, "run", None)) or callable(getattr(type, "work", None))):
        return [*found, "it has neither `run` nor `work`"]
    return [*found, *await _example(type, spec, folder)]


def _spec(spec: TaskSpec) -> Iterator[str]:
    if not _NAME.fullmatch(spec.name):
        yield f"'{spec.name}' is no name: small letters, digits, '_', '-' and '.', the first a letter"
    if not spec.summary.strip().endswith("."):
        yield "`summary` is one sentence, with a full stop"
    if spec.effect not in get_args(Effect):
        yield f"`effect` is '{spec.effect}', and must be one of {', '.join(get_args(Effect))}"
    properties = spec.params.get("properties", {})
    for name, roles in spec.roles.items():
        if name not in properties:
            yield f"`roles` names '{name}', which is no parameter"
        for role in roles:
            if role not in get_args(Role):
                yield f"'{role}' is no role: there are {', '.join(get_args(Role))}"
    if spec.effect_by is not None and spec.effect_by[0] not in properties:
        yield f"`effect_by` names '{spec.effect_by[0]}', which is no parameter"


def _schemas(spec: TaskSpec) -> Iterator[str]:
    for what, schema in (("params", spec.params), ("output", spec.output)):
        try:
            make_validator(schema)
        except Exception as error:  # whatever the validator says of a schema that is none
            yield f"`{what}` is no JSON Schema: {str(error).splitlines()[0][:200]}"
    if spec.whole:
        return
    if spec.params.get("type") != "object":
        yield "`params` describes a mapping: `{type: object, properties: {…}}`"
        return
    if spec.params.get("additionalProperties") is not False:
        yield "`params` takes parameters that nobody has described: set `additionalProperties: false`"
    properties: Mapping[str, Any] = spec.params.get("properties", {})
    for name, schema in properties.items():
        if not (isinstance(schema, dict) and schema.get("description")):
            yield f"the parameter '{name}' has no `description`"
    for name in spec.params.get("required", []):
        if name not in properties:
            yield f"'{name}' is required, and is no parameter"


def _docs(type: Any, spec: TaskSpec) -> Iterator[str]:
    text = _text(getattr(type, "docs", None))
    if text is None:
        yield "it has no page: set `docs` to a Markdown file, or its text"
        return
    if not text.lstrip().startswith("# "):
        yield "its page has no title: begin with `# `"
    for name in spec.params.get("properties", {}):
        if name not in text:
            yield f"its page does not say what '{name}' is"


async def _example(type: Any, spec: TaskSpec, folder: Path | None) -> list[str]:
    text = _text(getattr(type, "example", None))
    if text is None:
        return ["it has no example: set `example` to a flow in YAML, or its text"]
    if not re.search(rf"type:\s*[\"']?{re.escape(spec.name)}\b", text):
        return [f"its example has no task of the type '{spec.name}'"]
    try:
        loaded = load_text(text, folder)
        run = await run_flow(loaded)
    except FlowBuilderError as error:
        return [f"its example does not run: {' '.join(str(error).split())[:500]}"]
    if run.status != "succeeded":
        failure = run.error or {}
        return [f"its example has {run.status}: {failure.get('kind')}: {failure.get('message')}"]
    validator = make_validator(spec.output)
    own = [
        task.id
        for task in loaded.flow.main.tasks
        if getattr(task.work, "type", None) == spec.name and task.map is None
    ]
    return [
        f"the output of '{id}' in its example breaks `output`: {broken.message[:200]}"
        for id in own
        if (view := run.tasks[id]).status == "succeeded"
        for broken in validator.iter_errors(to_json(view.output))
    ]


def _text(what: Any) -> str | None:
    """Return a page or example, from its file where that is what is given."""
    if isinstance(what, Path):
        return what.read_text("utf-8") if what.is_file() else None
    return what if isinstance(what, str) and what.strip() else None
