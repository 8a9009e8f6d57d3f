"""Compares what came of a run with what a test expects; every difference is told."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core import values
from flowbuilder.core.durations import format_duration
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.globs import kind_matches
from flowbuilder.testing.cases.case import TYPE, Expected
from flowbuilder.testing.cases.conditions import condition
from flowbuilder.testing.cases.differences import MISSING, differences, parts, shown
from flowbuilder.testing.cases.mocks import plain_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flowbuilder.runtime.views import TaskView
    from flowbuilder.testing.cases.case import Case
    from flowbuilder.testing.cases.outcome import Outcome

_TOLERANCE: Final = 0.001
"""Seconds by which a duration may differ: virtual time passes in jumps."""


def judge(case: Case, outcome: Outcome) -> list[str]:
    """Return every difference, in words; none if the test has passed."""
    if outcome.problem is not None:
        return [outcome.problem, *_ended_with(outcome)]
    if not case.runs:
        return _judge_run(case.expected, outcome)
    told = []
    for run in case.runs:
        one = outcome.runs[run.name]
        told += [f"runs.{run.name}.{problem}" for problem in _of_several(run.expected, one)]
    expected = case.expected
    return [
        *told,
        *_order(expected, outcome),
        *_calls(expected, outcome),
        *_events(expected, outcome),
        *_logs(expected, outcome),
        *_duration(expected, outcome),
        *_that(expected, outcome),
    ]


def _of_several(expected: Expected, outcome: Outcome) -> list[str]:
    """Return the differences of one of several runs, whose start may have given one of before."""
    if expected.same_as == outcome.same_as:
        if expected.same_as is not None and expected == Expected(same_as=expected.same_as):
            return []  # how it ends is looked at where it began
        return _judge_run(expected, outcome)
    if expected.same_as is None:
        return [f"same_as: it began no run of its own, and gave the run '{outcome.same_as}'"]
    got = "began a run of its own" if outcome.same_as is None else f"gave the run '{outcome.same_as}'"
    return [f"same_as: expected the run '{expected.same_as}', and it {got}"]


def _judge_run(expected: Expected, outcome: Outcome) -> list[str]:
    return [
        *_status(expected, outcome),
        *(
            f"send: '{what}' was never sent: the run had ended without asking for it"
            for what in outcome.unsent
        ),
        *_outputs(expected, outcome),
        *_tasks(expected, outcome),
        *_order(expected, outcome),
        *_calls(expected, outcome),
        *_events(expected, outcome),
        *_logs(expected, outcome),
        *_duration(expected, outcome),
        *_that(expected, outcome),
    ]


def _ended_with(outcome: Outcome) -> list[str]:
    error = outcome.error
    if error is None or error["kind"] in ("cancelled", "mock.missing"):
        return []
    return [f"error {error['kind']}: {error['message']}"]


def _status(expected: Expected, outcome: Outcome) -> Iterator[str]:
    status = expected.status or ("failed" if expected.error else "succeeded")
    if expected.status is None and outcome.status == "refused" and expected.error:
        status = "refused"
    if outcome.status != status:
        error = outcome.error
        why = f": {error['kind']}: {error['message']}" if error else ""
        at = f" in {error['task']}" if error and error.get("task") else ""
        yield f"status: expected {status}, got {outcome.status}{at}{why}"
    if expected.error is not None:
        yield from _error("error", expected.error, outcome.error)


def _error(where: str, expected: Mapping[str, Any], got: Mapping[str, Any] | None) -> Iterator[str]:
    if got is None:
        yield f"{where}: expected {shown(dict(expected))}, got none"
        return
    if "kind" in expected and not kind_matches(got["kind"], (expected["kind"],)):
        yield f"{where}.kind: expected {expected['kind']}, got {got['kind']} ({got['message']})"
    if "message" in expected and expected["message"] not in got["message"]:
        yield f"{where}.message: expected {shown(expected['message'])} in it, got {shown(got['message'])}"
    if "task" in expected and expected["task"] != got.get("task"):
        yield f"{where}.task: expected {expected['task']}, got {got.get('task')}"


def _outputs(expected: Expected, outcome: Outcome) -> Iterator[str]:
    got = outcome.outputs if isinstance(outcome.outputs, dict) else {}
    for name, value in (expected.outputs or {}).items():
        yield from differences(f"outputs.{name}", value, got.get(name, MISSING))


def _tasks(expected: Expected, outcome: Outcome) -> Iterator[str]:
    view = outcome.view
    known: dict[str, TaskView] = {} if view is None else {**view.tasks, **view.elements}
    for path, wanted in expected.tasks.items():
        task = known.get(path)
        if task is None:
            yield f"tasks.{path}: {_no_task(path, known)}"
            continue
        where = f"tasks.{path}"
        if "error" in wanted:
            yield from _error(f"{where}.error", wanted["error"], task.error)
        for name in ("status", "attempts", "reason", "items"):
            if name in wanted and wanted[name] != getattr(task, name):
                why = f" ({task.error['kind']}: {task.error['message']})" if task.error else ""
                yield f"{where}.{name}: expected {wanted[name]}, got {getattr(task, name)}{why}"
        if "output" in wanted:
            yield from differences(f"{where}.output", wanted["output"], values.to_json(task.output))


def _order(expected: Expected, outcome: Outcome) -> Iterator[str]:
    places = {path: place for place, path in reversed(list(enumerate(outcome.order)))}
    before: str | None = None
    for path in expected.order:
        if path not in places:
            known = outcome.runs or _known(outcome)
            yield f"order: {path} did not end" + ("" if path in known else f": {_no_task(path, known)}")
            return
        if before is not None and places[path] < places[before]:
            yield f"order: {path} ended before {before}"
        before = path


def _calls(expected: Expected, outcome: Outcome) -> Iterator[str]:
    for name, wanted in expected.calls.items():
        given = given_to(outcome, name)
        if given is None:
            count = _attempts(outcome, name)
            if "with" in wanted or "each" in wanted:
                yield f"calls.{name}: what it is given is only known of a task that is mocked"
        else:
            count = len(given)
        if "count" in wanted and wanted["count"] != count:
            why = f": {_no_task(name, _known(outcome))}" if not count and _is_no_task(name, outcome) else ""
            yield f"calls.{name}: expected {wanted['count']}, got {count}{why}"
        if given is None:
            continue
        if "with" in wanted and not any(not [*parts("", wanted["with"], each)] for each in given):
            yield f"calls.{name}: none was given {shown(wanted['with'])}; they got {shown(given)}"
        if "each" in wanted:
            if len(wanted["each"]) != count:
                yield f"calls.{name}: expected {len(wanted['each'])}, got {count}"
            for number, (one, got) in enumerate(zip(wanted["each"], given, strict=False), 1):
                yield from parts(f"calls.{name} (call {number})", one, got)


def _known(outcome: Outcome) -> list[str]:
    """Return the paths of all tasks of a run, or of several, with and without indexes."""
    views = [one.view for one in outcome.each if one.view is not None]
    paths = [path for view in views for path in (*view.tasks, *view.elements)]
    return list(dict.fromkeys([*paths, *map(plain_path, paths), *(call.task for call in outcome.calls)]))


def _is_no_task(name: str, outcome: Outcome) -> bool:
    known = _known(outcome)
    return not (name.startswith(TYPE) or any(fnmatch.fnmatchcase(path, name) for path in known))


def _no_task(name: str, known: Iterable[str]) -> str:
    some = list(known)
    there = ", ".join(some[:10]) or "none"
    return f"there is no such task; {nearest(name, some) or f'there are {there}'}"


def given_to(outcome: Outcome, name: str) -> list[Any] | None:
    """Return what each call of a mock was given; None for a task that is not mocked."""
    found = [
        values.to_json(call.given)
        for call in outcome.calls
        if (name == TYPE + call.type or name in (call.task, plain_path(call.task)))
        or fnmatch.fnmatchcase(call.task, name)
    ]
    if found:
        return found
    return None if _attempts(outcome, name) else []


def _attempts(outcome: Outcome, name: str) -> int:
    """Return how often a task was tried; of a map, its elements."""
    views = [one.view for one in outcome.each if one.view is not None]
    return sum(
        task.attempts
        for view in views
        for path, task in (*view.tasks.items(), *view.elements.items())
        if task.items is None and (path == name or plain_path(path) == name)
    )


def _events(expected: Expected, outcome: Outcome) -> Iterator[str]:
    if expected.events is None:
        return
    left = list(outcome.events)
    for wanted in expected.events:
        for place, (name, payload) in enumerate(left):
            fits = "payload" not in wanted or not [*parts("", wanted["payload"], values.to_json(payload))]
            if name == wanted.get("event") and fits:
                del left[: place + 1]
                break
        else:
            got = ", ".join(f"{name} {shown(payload)}" for name, payload in outcome.events) or "none"
            yield f"events: {shown(dict(wanted))} was not emitted in this order; there were {got}"
            return


def _logs(expected: Expected, outcome: Outcome) -> Iterator[str]:
    for text in expected.logs:
        if not any(text in line for line in outcome.logs):
            yield f"logs: no line has {shown(text)} in it; there are {shown(outcome.logs[:5])}"


def _duration(expected: Expected, outcome: Outcome) -> Iterator[str]:
    if expected.duration is None:
        return
    least, most = expected.duration
    if not least - _TOLERANCE <= outcome.duration <= most + _TOLERANCE:
        wanted = _seconds(least) if least == most else f"{_seconds(least)} to {_seconds(most)}"
        yield f"duration: expected {wanted}, got {_seconds(outcome.duration)}"


def _seconds(seconds: float) -> str:
    return format_duration(round(seconds, 3))


def _that(expected: Expected, outcome: Outcome) -> Iterator[str]:
    if not expected.that:
        return
    scope = _scope(outcome)
    for text, tree in expected.that:
        try:
            holds = condition(tree)(scope)
        except ExpressionError as error:
            yield f"that: {text}: {error.message}"
        else:
            if not holds:
                yield f"that: {text} does not hold"


def _scope(outcome: Outcome) -> dict[str, Any]:
    view = outcome.view
    tasks = {} if view is None else {path: _task(task) for path, task in view.tasks.items()}
    names = {call.task for call in outcome.calls} | {plain_path(call.task) for call in outcome.calls}
    return {
        "inputs": {} if view is None else view.inputs,
        "outputs": None if view is None else view.outputs,
        "tasks": tasks,
        "error": outcome.error,
        "run": {"status": outcome.status, "duration": outcome.duration},
        "calls": {name: given_to(outcome, name) or [] for name in sorted(names)},
        "runs": {name: _run(one) for name, one in outcome.runs.items()},
    }


def _run(outcome: Outcome) -> dict[str, Any]:
    """Return one of several runs as conditions see it."""
    scope = _scope(outcome)
    return {
        **{name: scope[name] for name in ("inputs", "outputs", "tasks", "error", "calls")},
        **scope["run"],
    }


def _task(task: TaskView) -> dict[str, Any]:
    return {
        "status": task.status,
        "reason": task.reason,
        "output": task.output,
        "error": task.error,
        "errors": task.errors or [],
        "attempts": task.attempts,
    }
