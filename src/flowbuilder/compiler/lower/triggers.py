"""`triggers`: what starts runs by itself; a list, each with one key that says of what kind it is."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import (
    BOOLEAN,
    CONDITION,
    DELAY,
    DURATION,
    EXPRESSION,
    TEXT,
    TEXTS,
    Field,
    choice,
    integer,
    read_scalars,
)
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping, Node, Sequence
from flowbuilder.core.durations import format_duration
from flowbuilder.core.triggers import (
    KINDS,
    CronTrigger,
    EventTrigger,
    EveryTrigger,
    FileTrigger,
    FlowTrigger,
    Kind,
    Timing,
    WebhookTrigger,
)

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_FLOW_NAME: Final = r"[a-z0-9][a-z0-9_-]{0,63}"
_EVENT: Final = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
_STATUSES: Final = ("succeeded", "failed", "cancelled")
_SOME_MONDAY: Final = 1_704_067_200.0
_MOMENTS: Final = 100
"""Moments among which the shortest distance is looked for."""
_LEAST: Final = 0.1
"""Seconds between two runs of an interval."""
_TIMING: Final = ("catch_up", "catch_up_window", "catch_up_most", "overlap", "jitter")
_OWN_KEYS: Final = {
    "cron": ("timezone", *_TIMING),
    "every": ("timezone", "anchor", *_TIMING),
    "file": ("stable",),
    "event": ("filter",),
    "flow": ("status",),
    "webhook": ("method", "secret", "filter"),
}
"""Keys that mean something for some kinds only."""


def read_timezone(ctx: Context, node: Node, key: str) -> str | None:
    """Return the name of a time zone that there is."""
    text = TEXT.read(ctx, node, key)
    if text is None:
        return None
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = ctx.near(text, sorted(zoneinfo.available_timezones()))
        ctx.error(
            "FB242",
            f"there is no time zone '{text[:60]}'",
            node,
            near or "write for example 'Europe/Berlin' or 'UTC'",
        )
        return None
    return text  # type: ignore[no-any-return]


def _read_name(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is None or re.fullmatch(_NAME, text):
        return text  # type: ignore[no-any-return]
    better = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")[:64]
    ctx.error(
        "FB204",
        f"'{text[:80]}' is no name for a trigger: up to 64 of letters, digits, '-', '_' and '.'",
        node,
        f"write '{better}'" if better else "",
    )
    return None


def _read_cron(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is None:
        return None
    from flowbuilder.core.cron import Cron, CronError  # start-up time: most flows have no cron

    try:
        Cron(text)
    except CronError as error:
        ctx.error("FB281", f"'{text[:60]}' {error}", node, "`0 6 * * 1-5` is 06:00 from Monday to Friday")
        return None
    return text  # type: ignore[no-any-return]


def _read_every(ctx: Context, node: Node, key: str) -> float | None:
    seconds: float | None = DURATION.read(ctx, node, key)
    if seconds is not None and seconds < _LEAST:
        ctx.error("FB210", f"'{key}' is shorter than {_LEAST:g} seconds", node)
        return None
    return seconds


def _read_pattern(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is None:
        return None
    if not text.strip() or text.endswith(("/", "\\")) or "\0" in text or text.endswith("**"):
        ctx.error(
            "FB284",
            f"'{text[:60]}' names no files",
            node,
            "write a pattern such as `inbox/*.csv`, or `in/**/*.csv`",
        )
        return None
    return text  # type: ignore[no-any-return]


def _read_event(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is None or (re.fullmatch(_EVENT, text) and len(text) <= 200):
        return text  # type: ignore[no-any-return]
    ctx.error("FB204", f"'{text[:60]}' is no name of an event", node, "names are dotted words: `order.paid`")
    return None


def _read_flows(ctx: Context, node: Node, key: str) -> tuple[str, ...] | None:
    names = []
    for scalar in read_scalars(ctx, node, key):
        if re.fullmatch(_FLOW_NAME, scalar.text):
            names.append(scalar.text)
        else:
            hint = "write its name, not its file" if scalar.text.endswith((".yaml", ".yml", ".json")) else ""
            ctx.error("FB204", f"'{scalar.text[:60]}' is no name of a flow", scalar, hint)
    if type(node) is Sequence and not node.items:
        ctx.error("FB203", f"'{key}' names no flow", node, "write the name of one, or a list of names")
    return tuple(dict.fromkeys(names)) or None


def _read_statuses(ctx: Context, node: Node, key: str) -> tuple[str, ...] | None:
    one = choice(*_STATUSES)
    items = node.items if type(node) is Sequence else [node]
    words = [word for item in items if (word := one.read(ctx, item, key)) is not None]
    return tuple(dict.fromkeys(words)) or None


def _read_path(ctx: Context, node: Node, key: str) -> str | None:
    text = TEXT.read(ctx, node, key)
    if text is None or re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        return text  # type: ignore[no-any-return]
    ctx.error(
        "FB204",
        f"'{text[:60]}' is no path for a webhook",
        node,
        "write words behind slashes, such as `/orders/paid`",
    )
    return None


def _read_anchor(ctx: Context, node: Node, key: str) -> dt.datetime | None:
    text = TEXT.read(ctx, node, key)
    if text is None:
        return None
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        ctx.error(
            "FB208",
            f"'{key}' takes a moment, and this is '{text[:40]}'",
            node,
            "write it in ISO 8601, such as '2026-01-05T06:00:00'",
        )
        return None


def _read_trigger_inputs(ctx: Context, node: Node, key: str) -> Any:
    if type(node) is not Mapping:
        ctx.expected("a mapping of the run's inputs", node, key, "write `with: {day: …}`")
        return None
    return EXPRESSION.read(ctx, node, key), node


TRIGGER: Final = Table(
    "a trigger",
    {
        "cron": Key(
            Field(_read_cron, {"type": "string", "examples": ["0 6 * * 1-5", "@daily"]}),
            "Moments in cron's five fields, or six with seconds in front.",
        ),
        "every": Key(Field(_read_every, DURATION.schema), "Moments at equal distances."),
        "file": Key(Field(_read_pattern, {"type": "string"}), "Files that arrive, by a pattern of names."),
        "event": Key(Field(_read_event, {"type": "string"}), "Events of this name."),
        "flow": Key(
            Field(
                _read_flows, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
            ),
            "Runs of another flow, or of several, that end.",
        ),
        "webhook": Key(Field(_read_path, {"type": "string"}), "Requests to this path of the server."),
        "name": Key(
            Field(_read_name, {"type": "string"}), "What it is called; its kind and number unless given."
        ),
        "description": Key(TEXT, "What it is for."),
        "enabled": Key(BOOLEAN, "false: it starts nothing."),
        "timezone": Key(
            Field(read_timezone, {"type": "string"}), "The zone of its moments; the flow's unless given."
        ),
        "anchor": Key(Field(_read_anchor, {"type": "string"}), "A moment that the interval is counted from."),
        "catch_up": Key(
            choice("none", "last", "all"),
            "Which moments are made up for that came while no engine was there.",
        ),
        "catch_up_window": Key(DURATION, "How old a missed moment may be."),
        "catch_up_most": Key(integer(1, 100_000), "How many missed moments at most, the newest."),
        "overlap": Key(
            choice("allow", "skip", "queue", "cancel"),
            "What becomes of a moment while the run before is live.",
        ),
        "jitter": Key(DURATION, "By how much each moment is put off, at most."),
        "stable": Key(DELAY, "How long a file must not have changed."),
        "status": Key(
            Field(
                _read_statuses,
                {
                    "anyOf": [
                        {"enum": list(_STATUSES)},
                        {"type": "array", "items": {"enum": list(_STATUSES)}},
                    ]
                },
            ),
            "How the other flow's run ended: succeeded unless given.",
        ),
        "filter": Key(CONDITION, "A condition over `event`."),
        "method": Key(choice("POST", "PUT", "GET"), "The method of a webhook; POST unless given."),
        "secret": Key(TEXT, "The secret that a webhook's requests are signed with."),
        "if": Key(CONDITION, "A condition over `trigger`; false starts nothing."),
        "with": Key(Field(_read_trigger_inputs, {"type": "object"}), "The run's inputs, over `trigger`."),
        "key": Key(EXPRESSION, "The run's key: the same key starts the same run."),
        "labels": Key(TEXTS, "Labels of the run, beside the flow's."),
        "priority": Key(integer(0, 100), "The run's priority, in place of the flow's."),
    },
    elsewhere={
        "schedule": "it is called `cron`",
        "interval": "it is called `every`",
        "path": "the pattern of files is called `file`, the path of a webhook `webhook`",
        "tz": "it is called `timezone`",
        "inputs": "the run's inputs stand in `with`",
        "catchup": "it is called `catch_up`",
        "type": "what it is is its key: `cron: …`, `every: …`, `file: …`",
        "on": "what it is is its key: `cron: …`, `event: …`, `flow: …`",
        "when": "it is called `if`",
    },
)


def read_triggers(ctx: Context, node: Node, key: str) -> tuple[ir.Trigger, ...] | None:
    """Return the triggers; names are given to those that have none, and are unique."""
    if type(node) is not Sequence:
        hint = (
            "write each behind a dash: `- cron: …`"
            if type(node) is Mapping
            else "write `- cron: '0 6 * * *'`"
        )
        ctx.expected("a list of triggers", node, key, hint)
        return None
    found: list[ir.Trigger] = []
    taken: set[str] = set()
    counts = dict.fromkeys(KINDS, 0)
    for item in node.items:
        trigger = _read_trigger(ctx, item, counts)
        if trigger is None:
            continue
        if trigger.name in taken:
            at = item.get("name") if type(item) is Mapping else None
            ctx.error(
                "FB280",
                f"two triggers are called '{trigger.name}'",
                at or item,
                "give each a `name` of its own",
            )
        taken.add(trigger.name)
        found.append(trigger)
    return tuple(found)


def _read_trigger(ctx: Context, node: Node, counts: dict[str, int]) -> ir.Trigger | None:
    values = read_record(ctx, node, TRIGGER, "a trigger")
    if type(node) is not Mapping:
        return None
    kinds = [kind for kind in KINDS if kind in node.pairs]
    if len(kinds) != 1:
        both = (
            "both " + " and ".join(f"'{kind}'" for kind in kinds) if kinds else "none of " + ", ".join(KINDS)
        )
        ctx.error("FB282", f"a trigger has {both}", node, "it has exactly one of them: what starts the run")
        return None
    kind = kinds[0]
    counts[kind] += 1
    for other, keys in _OWN_KEYS.items():
        for key in keys:
            if other != kind and key in node.pairs and key not in _OWN_KEYS[kind]:
                node_of_key = node.pairs[key][0]
                kinds_of_key = [f"`{k}`" for k, own in _OWN_KEYS.items() if key in own]
                ctx.error(
                    "FB211",
                    f"'{key}' means nothing beside '{kind}'",
                    node_of_key,
                    f"it belongs to {' and '.join(kinds_of_key)}",
                )
                values.pop(key, None)
    if kind not in values:
        return None  # what is wrong with it was said
    inputs, _ = values.get("with", (None, None))
    zone = values.get("timezone")
    return ir.Trigger(
        name=values.get("name", f"{kind}-{counts[kind]}"),
        at=ctx.span(node.pairs[kind][0]),
        kind=_kind(ctx, node, kind, values),
        timezone=zone,
        condition=values.get("if"),
        filter=values.get("filter"),
        inputs=inputs,
        key=values.get("key"),
        labels=values.get("labels", {}),
        priority=values.get("priority"),
        enabled=values.get("enabled", True),
        description=values.get("description"),
    )


def _kind(ctx: Context, node: Mapping, kind: str, values: dict[str, Any]) -> Kind:
    match kind:
        case "cron":
            return CronTrigger(values["cron"], _timing(ctx, node, values, _distance(values)))
        case "every":
            anchor: dt.datetime | None = values.get("anchor")
            if anchor is not None and anchor.tzinfo is None:
                zone = values.get("timezone") or ctx.timezone
                anchor = anchor.replace(tzinfo=zoneinfo.ZoneInfo(zone))
            start = 0.0 if anchor is None else anchor.timestamp()
            return EveryTrigger(values["every"], start, _timing(ctx, node, values, values["every"]))
        case "file":
            return FileTrigger(values["file"], values.get("stable", 1.0))
        case "event":
            return EventTrigger(values["event"])
        case "flow":
            return FlowTrigger(values["flow"], values.get("status", ("succeeded",)))
        case _:
            return WebhookTrigger(values["webhook"], values.get("method", "POST"), values.get("secret"))


def _distance(values: dict[str, Any]) -> float | None:
    """Return the shortest time between two moments of a cron expression, as far as that matters: beside `jitter`."""
    if "jitter" not in values:
        return None
    from flowbuilder.core.cron import Cron  # start-up time: most flows have no cron

    cron, moment = Cron(values["cron"]), _SOME_MONDAY
    shortest: float | None = None
    for _ in range(_MOMENTS):
        following = cron.after(moment)
        if following is None:
            break
        if moment != _SOME_MONDAY:
            shortest = following - moment if shortest is None else min(shortest, following - moment)
        moment = following
    return shortest


def _timing(ctx: Context, node: Mapping, values: dict[str, Any], distance: float | None) -> Timing:
    jitter = values.get("jitter", 0.0)
    if distance is not None and jitter > distance:
        ctx.error(
            "FB210",
            f"'jitter' is longer than the time between two moments, {format_duration(distance)}",
            node.pairs["jitter"][1],
        )
    catch_up = values.get("catch_up", "last")
    if "catch_up_most" in values and catch_up != "all":
        ctx.error(
            "FB211",
            f"'catch_up_most' means nothing with `catch_up: {catch_up}`",
            node.pairs["catch_up_most"][0],
            "write `catch_up: all`, or leave it out",
        )
    most = values.get("catch_up_most", Timing().most)
    return Timing(catch_up, values.get("catch_up_window"), most, values.get("overlap", "allow"), jitter)
