"""One task: its keys, the flow's defaults for it, and its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.codes import BOUND_NAME
from flowbuilder.compiler.expressions.parse import RESERVED
from flowbuilder.compiler.expressions.tree import Const, Dict, Text
from flowbuilder.compiler.lower import cache, limits, matrix, on_error, repeat, retry, tolerate
from flowbuilder.compiler.lower.draft import Draft, Mentions
from flowbuilder.compiler.lower.fields import (
    BOOLEAN,
    CONDITION,
    DURATION,
    EXPRESSION,
    TAGS,
    TEXT,
    Field,
    as_written,
    check_name,
    choice,
    integer,
    read_scalars,
)
from flowbuilder.compiler.lower.json_schema import read_schema
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.sensitive import spread_sensitive, take_on_sensitive
from flowbuilder.compiler.lower.undo import FIELD as UNDO_FIELD
from flowbuilder.compiler.lower.undo import lower_undo
from flowbuilder.compiler.lower.values import MARK, lower_scalar, lower_value, warn_of_other_marks
from flowbuilder.compiler.lower.work import lower_work
from flowbuilder.compiler.nodes import Broken, Node, Scalar
from flowbuilder.compiler.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.lower.context import Context

_LATER: Final = "until then do it in a script or a sub-flow"


def read_env(ctx: Context, node: Node, key: str) -> dict[str, Expr] | None:
    """Return extra environment: texts as written, or expressions that are written out."""
    if type(node) is not MappingNode:
        ctx.expected("a mapping of names and texts", node, key)
        return None
    values: dict[str, Expr] = {}
    for name, value in node.pairs.values():
        check_name(ctx, name, "environment variable")
        if type(value) is not Scalar:
            ctx.expected(
                "a text",
                value,
                f"{key}.{name.text[:40]}",
                "write a list or mapping as JSON: `${{ to_json(x) }}`",
            )
        elif MARK in value.text:
            tree = lower_scalar(ctx, value)
            values[name.text] = tree if type(tree) in (Const, Text) else Text(tree.at, (tree,))
        else:
            warn_of_other_marks(ctx, value)
            values[name.text] = Const(ctx.at(value), as_written(ctx, value, f"{key}.{name.text[:40]}"))
    return values


def _read_needs(ctx: Context, node: Node, key: str) -> list[Scalar]:
    if type(node) is MappingNode:
        ctx.expected("an id, or a list of ids", node, key)
        return []
    if type(node) is Scalar and not node.style and not node.text:
        return []
    return read_scalars(ctx, node, key)


def _read_alias(ctx: Context, node: Node, key: str) -> Scalar | None:
    text = TEXT.read(ctx, node, key)
    if text is None or type(node) is not Scalar or not check_name(ctx, node, "name"):
        return None
    if text in RESERVED:
        ctx.error(BOUND_NAME, f"'{text}' means something already", node, "choose another name")
        return None
    return node


def _read_for_each(ctx: Context, node: Node, key: str) -> Expr | None:
    over = lower_value(ctx, node)
    if (type(over) is Text and over.parts) or (type(over) is Const and type(over.value) not in (list, dict)):
        ctx.expected(
            "a list or a mapping",
            node,
            key,
            "write a list, or an expression that gives one: `${{ tasks.x.output }}`",
        )
        return None
    return over


def _read_schema(ctx: Context, node: Node, key: str) -> dict[str, Any] | None:
    return read_schema(ctx, node, key, "FB261")


def _as_node(ctx: Context, node: Node, key: str) -> Node:
    """Return the node itself: the task type says what is in it."""
    return node


_NODE: Final = Field(_as_node, {})
_IDS: Final = Field(
    _read_needs, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
_ENV: Final = Field(
    read_env, {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
)
RUN_WHEN: Final = choice(
    "default", "all_success", "none_failed", "any_success", "any_failed", "all_done", "always"
)
_PLACES: Final = choice(
    "auto", "inline", "thread", "process", later={"worker": "use `process`, which runs beside the engine"}
)


def _is_ours(word: str) -> bool:
    return word in ("auto", "inline", "thread", "process", "worker")


def _read_executor(ctx: Context, node: Node, key: str) -> str | None:
    """Return where a task runs: one of our own words, or the name of an executor that a plug-in adds."""
    if type(node) is Scalar and not _is_ours(node.text):
        plugged: frozenset[str] = getattr(ctx.catalogue, "executors", frozenset())
        if node.text in plugged:
            return node.text
    return _PLACES.read(ctx, node, key)  # type: ignore[no-any-return]


EXECUTOR: Final = Field(_read_executor, {"type": "string"})
EFFECT: Final = choice("pure", "read", "write")

_AT_ONCE: Final = "it is called `concurrency`: how many elements of `for_each` run at once"
TASK: Final = Table(
    "a task",
    {
        "type": Key(TEXT, "What it does: a task type such as `http`."),
        "with": Key(_NODE, "Its parameters; each type has its own."),
        "run": Key(_NODE, "Shorthand for `type: shell` with this script."),
        "needs": Key(_IDS, "Tasks that it waits for, and that decide whether it runs."),
        "if": Key(CONDITION, "A condition, asked when the task is ready; false means skipped."),
        "run_when": Key(RUN_WHEN, "The rule by which what it needs decides whether it runs."),
        "for_each": Key(
            Field(_read_for_each, {"type": ["array", "object", "string"]}),
            "Once for each element of a list or mapping.",
        ),
        "as": Key(
            Field(_read_alias, {"type": "string"}),
            "A further name for `item`; adds `<name>_index` for `index`.",
        ),
        "matrix": Key(matrix.FIELD, "Once for each combination of values: a list by name."),
        "concurrency": Key(integer(1, 100_000), "How many elements are worked on at once; 16 unless given."),
        "tolerate": Key(tolerate.FIELD, "How many elements may fail: a number, or a share such as `20%`."),
        "repeat": Key(repeat.FIELD, "Again and again, in rounds."),
        "cache": Key(cache.FIELD, "Same key, same output, no execution."),
        "retry": Key(retry.FIELD, "How often and when it is tried again."),
        "timeout": Key(DURATION, "How long one attempt may take."),
        "deadline": Key(DURATION, "How long all attempts may take together."),
        "on_error": Key(on_error.FIELD, "What happens instead when it fails."),
        "undo": Key(UNDO_FIELD, "A task that reverses this one, if the run fails or is cancelled."),
        "schema": Key(Field(_read_schema, {"type": "object"}), "The JSON Schema that its output must fit."),
        "sensitive": Key(BOOLEAN, "Whether its output is encrypted in the store, and `***` in views."),
        "priority": Key(integer(0, 100), "More goes first; 50 unless given."),
        "executor": Key(EXECUTOR, "Where it runs."),
        "effect": Key(EFFECT, "What it does to the world outside of its output."),
        "idempotency_key": Key(EXPRESSION, "Instead of the key that the engine derives."),
        "name": Key(TEXT, "A name for people."),
        "description": Key(TEXT, "What it is for."),
        "tags": Key(TAGS, "Words to find it by."),
        "env": Key(_ENV, "Extra environment of a command."),
        "rate_limit": Key(limits.RATE_FIELD, "How often attempts begin, of all runs together."),
        "circuit_breaker": Key(
            limits.BREAKER_FIELD, "When attempts fail at once, since the last ones failed."
        ),
        "queue": Key(limits.QUEUE_FIELD, "The queue of the settings in which attempts wait their turn."),
        "resources": Key(limits.RESOURCES_FIELD, "What of the machine an attempt takes while it runs."),
        "tasks": Key(_NODE, "The tasks of a group."),
        "outputs": Key(_NODE, "The outputs of a group."),
        "workspace": Key(BOOLEAN, "Whether the tasks of a group share a folder, which is gone when it ends."),
    },
    later={},
    elsewhere={
        "depends_on": "it is called `needs`",
        "dependsOn": "it is called `needs`",
        "when": "it is called `if`",
        "uses": "it is called `type`",
        "action": "it is called `type`",
        "args": "parameters stand in `with`",
        "params": "they are called `with`",
        "parameters": "they are called `with`",
        "steps": "they are called `tasks`, a mapping by id",
        "retries": "it is called `retry`",
        "loop": "it is called `for_each`, or `repeat` for rounds",
        "while": "it stands in `repeat`",
        "until": "it stands in `repeat`",
        "repeat_until": "write `repeat: {until: …, max: …}`",
        "strategy": "`matrix` stands in the task itself",
        "max_parallel": _AT_ONCE,
        "max-parallel": _AT_ONCE,
        "max_concurrency": _AT_ONCE,
        "parallelism": _AT_ONCE,
        "max_failures": "it is called `tolerate`",
        "output_schema": "it is called `schema`",
        "memoize": "it is called `cache`",
        "foreach": "it is called `for_each`",
        "with_items": "it is called `for_each`",
        "continue_on_error": "write `on_error: continue`",
        "continue-on-error": "write `on_error: continue`",
        "timeout_minutes": "it is called `timeout`, with a unit: `5m`",
        "timeout-minutes": "it is called `timeout`, with a unit: `5m`",
        "command": "it stands in `with`, or is called `run`",
        "call": "it stands in `with`",
        "url": "it stands in `with`",
        "method": "it stands in `with`",
        "script": "write `run`, or `type: script` with `with: {language: …, code: …}`",
        "shell": "write `run`",
        "working_directory": "it is called `cwd` and stands in `with`",
        "catch": "it is called `on_error`",
        "on_crash": "it is a key of the flow",
        "fail_fast": "it is a key of the flow",
        "secrets": "it is a key of the flow",
        "throttle": "it is called `rate_limit`",
        "breaker": "it is called `circuit_breaker`",
        "pool": "it is called `queue`",
        "debounce": "it is a key of the flow",
        "vars": "it is a key of the flow; a task of type `set` computes values from others",
        "inputs": "they are a key of the flow; parameters of a task stand in `with`",
        "id": "the id is the key that the task stands under",
    },
)

_NO_DEFAULT: Final = frozenset(
    {"type", "with", "run", "needs", "if", "for_each", "as", "tasks", "outputs", "name", "description"}
    | {"idempotency_key", "undo", "matrix", "repeat", "cache", "schema"}
)
DEFAULTS: Final = Table(
    "`defaults`",
    {name: key for name, key in TASK.keys.items() if name not in _NO_DEFAULT},
    later=TASK.later,
    elsewhere=dict.fromkeys(_NO_DEFAULT, "it has no default: each task says its own"),
)
_FOR_CALLS: Final = frozenset({"timeout", "deadline", "retry", *limits.KEYS})
"""Defaults that never reach tasks that call nothing."""


def lower_task(ctx: Context, key: Scalar, node: Node) -> Draft:
    """Return a task as far as it can be known by itself."""
    mentions = Mentions()
    id = key.text
    if type(node) is Broken:
        return Draft(key, {"work": ir.Compute(ctx.unknown(node))}, None, mentions)
    own = read_record(ctx, node, TASK, f"task '{id[:60]}'")
    pairs = node.pairs if type(node) is MappingNode else {}
    type_name, work_node = _type_of(ctx, own, key, node)
    values = with_defaults(ctx, own, type_name)
    fields: dict[str, Any] = {"work": lower_work(ctx, key, type_name, values, work_node, mentions, pairs)}
    if "retry" in values and "retry" not in own:
        ctx.retried_by[ctx.span(key)] = ctx.default_retry(type_name)
    _when(ctx, node, values, fields, mentions)
    _failing(values, fields, mentions, fields["work"])
    if bound := limits.limits_of(ctx, values, fields["work"], type_name, pairs):
        fields["limits"] = bound
        limits.mention(bound, mentions)
    if "undo" in values:
        fields["undo"] = lower_undo(ctx, key, *pairs["undo"], fields["work"])
    _layers(values, fields, mentions)
    if values.get("sensitive"):
        spread_sensitive(fields)
    else:
        take_on_sensitive(fields)
    fields["on_crash"] = ctx.on_crash
    for name in ("priority", "name", "description", "tags"):
        if name in values:
            fields[name] = values[name]
    return Draft(key, fields, own.get("needs"), mentions)


def _type_of(ctx: Context, own: dict[str, Any], key: Scalar, node: Node) -> tuple[str, Node]:
    """Return the task's type; `run` is a shell."""
    type_name = own.get("type")
    if "run" in own:
        if type_name not in (None, "shell"):
            ctx.error(
                "FB211",
                f"'run' stands for `type: shell`, and the type is '{type_name}'",
                own["run"],
                "keep one of them",
            )
        return "shell", node
    if type_name is None:
        if type(node) is MappingNode and "type" not in node.pairs:
            hint = "add `type: group`" if "tasks" in own else "add `type: …`, or `run: …` for a shell script"
            ctx.error("FB202", f"task '{key.text[:60]}' has neither 'type' nor 'run'", key, hint)
        return "", node
    found = node.get("type") if type(node) is MappingNode else None
    if not type_name:
        ctx.error("FB206", "the task type is empty", found or node, "write for example `type: http`")
    return type_name, found or node


def with_defaults(ctx: Context, own: dict[str, Any], type_name: str) -> dict[str, Any]:
    """Return a task's values with those of `defaults` and `defaults.types` below, key by key."""
    general, types = ctx.defaults
    by_type = types.get(type_name)
    if not general and not by_type:
        return own
    spec = ctx.catalogue.get(type_name)
    values: dict[str, Any] = {}
    for layer in (general, by_type or {}, own):
        for name, value in layer.items():
            if layer is not own and name in _FOR_CALLS and not (spec and spec.calls):
                continue
            if name in ("retry", "env") and name in values:
                value = {**values[name], **value}
            if name == "with" and layer is not own:
                continue  # merged parameter by parameter, by the work
            values[name] = value
    return values


def _when(
    ctx: Context, node: Node, values: dict[str, Any], fields: dict[str, Any], mentions: Mentions
) -> None:
    """Fill in what decides whether and how often the task runs."""
    if "if" in values:
        fields["condition"] = values["if"]
        mentions.of(values["if"])
    if "run_when" in values:
        fields["run_when"] = values["run_when"]
    pairs = node.pairs if type(node) is MappingNode else {}
    if "for_each" in pairs and "matrix" in pairs:
        ctx.error(
            "FB211",
            "a task has 'for_each' or 'matrix', and not both",
            pairs["matrix"][0],
            "the combinations as a list are `${{ matrix(os=[…], python=[…]) }}`",
        )
    over = values.get("for_each", values.get("matrix"))
    if over is not None:
        alias = values.get("as")
        mentions.of(over)
        fields["map"] = ir.Map(
            over,
            alias.text if alias is not None else None,
            values.get("concurrency", 16),
            values.get("tolerate"),
        )
        return
    for name in ("as", "concurrency", "tolerate"):
        if name in pairs and "for_each" not in pairs and "matrix" not in pairs:
            ctx.warn("FB260", f"'{name}' does nothing without 'for_each'", pairs[name][0], "leave it out")


def _layers(values: dict[str, Any], fields: dict[str, Any], mentions: Mentions) -> None:
    """Fill in what lies around its attempts: rounds, a cache, the schema of its output."""
    if "repeat" in values:
        fields["repeat"] = values["repeat"]
        repeat.mention(mentions, values["repeat"])
        if "deadline" in values:
            fields["deadline"] = values["deadline"]
    if "cache" in values:
        fields["cache"] = values["cache"]
        mentions.of(values["cache"].key)
    if "schema" in values:
        fields["schema"] = values["schema"]


def _failing(values: dict[str, Any], fields: dict[str, Any], mentions: Mentions, work: ir.Work) -> None:
    """Fill in what happens when it fails or takes long."""
    if "on_error" in values:
        rescue, outside = values["on_error"]
        fields["on_error"] = rescue
        if rescue is not None:
            mentions.of(rescue.value)
        mentions.add(outside.found)
    if type(work) is ir.Compute:
        return
    for name in ("timeout", "deadline"):
        if name in values:
            fields[name] = values[name]
    if "retry" in values:
        fields["retry"] = retry.retry_of(values["retry"])
        mentions.of(values["retry"].get("if"))
    if type(work) is not ir.Invoke:
        return
    if env := values.get("env"):
        fields["env"] = Dict(
            next(iter(env.values())).at, tuple((Const(value.at, name), value) for name, value in env.items())
        )
        mentions.of(fields["env"])
    if "idempotency_key" in values:
        fields["idempotency_key"] = values["idempotency_key"]
        mentions.of(values["idempotency_key"])
