"""What EXPLAIN says of a task besides its figures, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.tree import Const, Dict
from flowbuilder.compiler.ir import Approval, Compute, Group, Invoke, Sleep, SubFlow, Wait
from flowbuilder.compiler.matches import looked_up
from flowbuilder.compiler.written import written
from flowbuilder.core.durations import format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowbuilder.compiler.costs import Cost
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.ir import Cache, OnError, Repeat, Retry, Task, TaskLimits

Detail = tuple[str, str]


def details_of(task: Task, cost: Cost, disk: tuple[str, ...] | None, *, fused: bool) -> tuple[Detail, ...]:
    """Return what there is to say of a task.

    Args:
        task: the task.
        cost: what it is expected to cost.
        disk: outputs that must be on disk before it starts; None if nothing waits.
        fused: whether it is part of a region, which says what carries it out.
    """
    found = [*_when(task), *_what(task)]
    if not fused and task.pruned is None and type(task.work) is not Group:
        found.append(("Executor", cost.executor + _effect(task)))
    found += _limits(task)
    if disk is not None and task.pruned is None:
        waits = f"outputs of {names(disk)}" if disk else "the acceptance of the run"
        found.append(("Waits for the disk", waits))
    if cost.executions:
        failed = f", {cost.failure_rate:.1%} failed" if cost.failure_rate else ""
        plural = "s" * (cost.executions != 1)
        found.append(("Known from", f"{cost.executions} earlier execution{plural}{failed}"))
    return tuple(found)


def names(ids: Sequence[str], limit: int = 8) -> str:
    """Return names as a list of at most `limit`, and how many more there are."""
    if len(ids) <= limit:
        return ", ".join(ids)
    return f"{', '.join(ids[: limit - 1])} and {len(ids) - limit + 1} more"


def _when(task: Task) -> Iterator[Detail]:
    if task.pruned is not None:
        yield "Never runs", task.pruned
    if task.waits_for:
        only = [id for id in task.waits_for if id not in task.needs]
        yield "Waits for", names(task.waits_for) + (f" (not counted: {names(only)})" if only else "")
    if task.run_when != "default":
        yield "Runs when", task.run_when
    if task.condition is not None:
        yield "If", written(task.condition)
    if task.map is not None:
        tolerated = "" if task.map.tolerate is None else f", {_tolerated(task.map.tolerate)} may fail"
        yield "For each", f"{written(task.map.over)}, {task.map.concurrency} at a time{tolerated}"
    if task.cache is not None:
        yield "Cache", _cache(task.cache)
    if task.repeat is not None:
        yield "Repeat", _repeat(task.repeat)
        if task.repeat.collect is not None:
            yield "Collect", written(task.repeat.collect)


def _what(task: Task) -> Iterator[Detail]:
    match task.work:
        case Compute(value=value):
            yield "Value", written(value)
        case Sleep(duration=duration, until=until):
            if type(duration) is Const and type(duration.value) in (int, float):
                yield "For", format_duration(float(duration.value))  # type: ignore[arg-type]
            elif duration is not None:
                yield "For", written(duration)
            elif until is not None:
                yield "Until", written(until)
        case Wait():
            yield from _awaited(task.work)
        case Approval(params=params):
            yield from _parts(params, _OF_APPROVAL)
        case SubFlow(flow=flow, name=name, wait=wait):
            which = flow.name if flow is not None else written(name) if name is not None else "this one"
            size = f", {len(flow.main.tasks)} tasks" if flow is not None else ""
            yield "Flow", which + size + ("" if wait else ", not waited for")
        case _:
            pass


def _awaited(wait: Wait) -> Iterator[Detail]:
    """Say what is waited for, and whether the filter's values find the run or all who wait are asked."""
    yield from _parts(wait.params, {**_OF_WAIT, "name": "Signal" if wait.signal else "Event"})
    if wait.filter is not None:
        yield "Filter", written(wait.filter)
        found = None if wait.signal else looked_up(wait.filter)
        if found is not None:
            path, value = found
            yield "Found by", f"event.{'.'.join(map(str, path))} = {written(value)} (index)"
        elif not wait.signal:
            yield "Found by", "the event's name: every event of that name is looked at"


_OF_WAIT: Final = {"name": "", "count": "Count", "timeout": "For at most", "window": "Window"}
_OF_APPROVAL: Final = {
    "message": "Asks",
    "assignees": "Decide",
    "quorum": "Quorum",
    "timeout": "For at most",
    "reminder": "Reminds every",
    "escalate_to": "Later also",
    "escalate_after": "After",
}
_SPANS: Final = frozenset({"timeout", "window", "reminder", "escalate_after"})


def _parts(params: Expr, titles: Mapping[str, str]) -> Iterator[Detail]:
    """Yield what a mapping of parameters says, each under its title."""
    given: dict[Any, Expr] = {}
    if type(params) is Const and type(params.value) is dict:
        given = {name: Const(params.at, value) for name, value in params.value.items()}
    elif type(params) is Dict:
        given = {key.value: value for key, value in params.items if type(key) is Const}
    for name, title in titles.items():
        value = given.get(name)
        if type(value) is not Const:
            text = "" if value is None else written(value)
        elif name in _SPANS and type(value.value) in (int, float):
            text = format_duration(float(value.value))  # type: ignore[arg-type]
        elif type(value.value) is list:
            text = names([str(one) for one in value.value])
        else:
            text = str(value.value)
        if text:
            yield title, text


def _effect(task: Task) -> str:
    return f"; effect: {task.work.effect}" if type(task.work) is Invoke else ""


def _limits(task: Task) -> Iterator[Detail]:
    if task.retry is not None:
        yield "Retry", _retry(task.retry)
    if task.schema is not None:
        yield "Schema", "each output is checked"
    if task.timeout is not None:
        yield "Timeout", format_duration(task.timeout) + " an attempt"
    if task.deadline is not None:
        yield "Deadline", format_duration(task.deadline) + " for all attempts"
    if task.on_error is not None:
        yield "On error", _on_error(task.on_error)
    if task.limits is not None:
        yield from _bounds(task.limits)
    if task.sensitive:
        yield "Output", "sensitive: encrypted in the store"
    if task.on_crash == "fail":
        yield "On crash", "fail: its start is on disk first, so it runs at most once"


def _bounds(limits: TaskLimits) -> Iterator[Detail]:
    """Say what an attempt waits for before it begins."""
    if (rate := limits.rate) is not None:
        burst = f", {rate.policy.burst} at once" if rate.policy.burst > 1 else ""
        often = f"{rate.policy.limit} per {format_duration(rate.policy.per)}{burst}"
        yield "Rate limit", often + _by(rate.key)
    if (breaker := limits.breaker) is not None:
        policy = breaker.policy
        opens = f"opens after {policy.failures} failures in a row, for {format_duration(policy.reset)}"
        yield (
            "Circuit breaker",
            opens + (f", on {', '.join(policy.on)}" if policy.on else "") + _by(breaker.key),
        )
    if (queue := limits.queue) is not None:
        yield "Queue", queue.name + _by(queue.key)
    if (ask := limits.resources) is not None:
        parts = [f"{count:g} {name}" for name, count in (("cpu", ask.cpu), ("gpu", ask.gpu)) if count]
        yield "Resources", ", ".join(parts + ([f"{format_size(ask.memory)} memory"] if ask.memory else []))


def _by(key: Expr | None) -> str:
    return f", by {written(key)}" if key is not None else ""


def deadline_of(deadline: Expr) -> str:
    """Return by when a run has ended."""
    if type(deadline) is Const and type(deadline.value) in (int, float):
        return format_duration(float(deadline.value)) + " from when it was asked for"  # type: ignore[arg-type]
    return written(deadline)


def _tolerated(tolerate: float) -> str:
    return f"{tolerate * 100:g}%" if type(tolerate) is float else f"{tolerate:,}"


def _cache(cache: Cache) -> str:
    who = {"run": "in this run", "flow": "in all runs of the flow", "global": "in all flows"}[cache.scope]
    ttl = f" for {format_duration(cache.ttl)}" if cache.ttl is not None else ""
    return f"key {written(cache.key)}, kept{ttl} {who}"


def _repeat(repeat: Repeat) -> str:
    text = f"{'until' if repeat.until else 'while'} {written(repeat.test)}"
    text += ", without a bound" if repeat.max is None else f", at most {repeat.max:,} rounds"
    if repeat.delay:
        text += f", {format_duration(repeat.delay)} between them"
    if repeat.state is not None:
        text += f", state {written(repeat.state)}"
    return text


def _retry(retry: Retry) -> str:
    policy = retry.policy
    text = f"{policy.attempts} attempts, {policy.backoff} delay from {format_duration(policy.delay)}"
    if policy.on:
        text += f", on {', '.join(policy.on)}"
    if policy.not_on:
        text += f", not on {', '.join(policy.not_on)}"
    if retry.condition is not None:
        text += f", if {written(retry.condition)}"
    return text


def _on_error(on_error: OnError) -> str:
    if on_error.value is not None:
        text = f"the value {written(on_error.value)}"
    elif on_error.graph is not None:
        text = f"instead: {names([task.id for task in on_error.graph.tasks])}"
    else:
        text = "continue"
    return text + (f", on {', '.join(on_error.on)}" if on_error.on else "")
