"""A plain interpreter of flows: what any run of a flow must come to.

It goes through the representation task by task, in the order of
dependencies, with nothing compiled, fused, journaled or at the same time.
Effects are functions handed in.  Runs of real engines, and of optimised
flows, are compared with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from flowbuilder.compiler import ir
from flowbuilder.core.globs import kind_matches
from flowbuilder.core.rules import (
    CONTINUED,
    FAILED,
    READY,
    SKIPPED,
    STATUS,
    SUCCEEDED,
    decide,
)
from oracle.evaluate import TYPE, Failure, evaluate

Effect = Callable[[Any], Any]
"""What stands for a task type: gets `with`, evaluated; returns the output or raises `Failure`."""


def _fail(params: Any) -> Any:
    raise Failure(params.get("kind", "fail"))


def _assert(params: Any) -> Any:
    if not params["that"]:
        raise Failure(params.get("kind", "assert"))


def _log(params: Any) -> None:
    if params["message"] is None:
        raise Failure("input")


DOUBTFUL = ("timeout", "http.timeout", "http.broken", "output.*")
"""Kinds after which nobody knows whether something was done, of those that random flows fail with."""
NEVER_RETRIED = ("expression.*", "input", "output.*", "cancelled", "approval.*")
UNDO_ATTEMPTS = 3
_SCHEMAS = {"integer": (int,), "boolean": (bool,), "string": (str,), "array": (list,), "object": (dict,)}

EFFECTS: Mapping[str, Effect] = {"fail": _fail, "assert": _assert, "log": _log}
"""The task types that touch nothing outside."""


@dataclasses.dataclass
class TaskOutcome:
    """How a task ended."""

    code: int
    output: Any = None
    error: str | None = None
    """The kind of its error."""
    errors: list[str] | None = None
    """Of a map: the kinds of what failed among its elements."""

    @property
    def status(self) -> str:
        return STATUS[self.code]


@dataclasses.dataclass
class Outcome:
    """What a run came to."""

    status: str
    outputs: Any
    error: str | None
    """The kind of its first error."""
    tasks: dict[str, TaskOutcome]
    """By path; tasks inside maps are left out."""
    effects: list[tuple[str, Any]]
    """Calls of effects that are written down, by path of task, in any order."""
    not_undone: list[str] = dataclasses.field(default_factory=list)
    """The kinds of what could not be undone."""
    ambiguous: bool = False
    """Whether it hangs on which of several failures comes first."""


@dataclasses.dataclass
class Done:
    """What has been done and can be undone."""

    task: ir.Task
    scope: Scope
    output: Any
    """None where it is in doubt."""


def simulate(
    flow: ir.Flow, inputs: Mapping[str, Any] | None = None, effects: Mapping[str, Effect] | None = None
) -> Outcome:
    """Return what a run of a flow comes to.

    Args:
        flow: as the front end made it; what passes made of it is not looked at.
        inputs: checked, with defaults filled in.
        effects: by task type, besides `EFFECTS`.
    """
    return Interpreter(flow, inputs or {}, {**EFFECTS, **(effects or {})}).run()


class Scope:
    """What names mean: a graph that runs, or an element of a map, inside another."""

    def __init__(self, run: Interpreter, parent: Scope | None, values: dict[str, Any] | None = None) -> None:
        self.run = run
        self.parent = parent
        self.values = values or {}
        self.tasks: dict[str, TaskOutcome] = {}
        """Those that have ended."""
        self.ids: frozenset[str] = frozenset()
        self.fused: frozenset[str] = frozenset()
        """Tasks of the region that is running: nobody may ask how they stand."""

    def name(self, id: str) -> Any:
        if id == "inputs":
            return self.run.inputs
        if id == "env":
            return dict(self.run.flow.env)
        if id in self.values:
            return self.values[id]
        assert self.parent is not None, f"nothing is called {id}"
        return self.parent.name(id)

    def task(self, id: str, field: str) -> Any:
        if id not in self.ids:
            assert self.parent is not None, f"no task is called {id}"
            return self.parent.task(id, field)
        assert field == "output" or id not in self.fused, f"the status of {id} is read inside its region"
        outcome = self.tasks[id]  # a KeyError here: the task was not waited for
        match field:
            case "output":
                return outcome.output
            case "status":
                return outcome.status
            case "error":
                return outcome.error and {"kind": outcome.error}
            case _:
                return [{"kind": kind} for kind in outcome.errors or ()]

    def var(self, id: str) -> Any:
        return self.run.var(id)


class Interpreter:
    """One run."""

    def __init__(self, flow: ir.Flow, inputs: Mapping[str, Any], effects: Mapping[str, Effect]) -> None:
        self.flow = flow
        self.inputs = dict(inputs)
        self.effects = effects
        self.tasks: dict[str, TaskOutcome] = {}
        self.called: list[tuple[str, Any]] = []
        self.cache: dict[tuple[Any, str], Any] = {}
        """What was yielded, by task and key."""
        self.done: list[Done] = []
        """What is undone if the run fails, in the order in which it was done."""
        self.events: list[tuple[str, Any]] = []
        """Those that nobody has taken yet."""
        self.not_undone: list[str] = []
        self.failed_before: list[str] = []
        """Undos that failed before a group was tried again; named only if the run fails."""
        self.ambiguous = False
        self._vars = {var.name: var.value for var in flow.vars}

    def run(self) -> Outcome:
        """Run the main graph and the handlers, and evaluate the outputs."""
        scope = Scope(self, None)
        first = self.graph(self.flow.main, scope, "")
        if first is not None:
            self.undo(0)
        for graph, prefix in ((self.flow.on_failure, "on_failure:"), (self.flow.finally_, "finally:")):
            if graph is None:
                continue
            scope = Scope(self, scope, {"error": first and {"kind": first}})
            if prefix == "on_failure:" and first is None:
                scope.ids = frozenset(task.id for task in graph.tasks)
                scope.tasks = {id: TaskOutcome(SKIPPED) for id in scope.ids}
            else:
                failed = self.graph(graph, scope, prefix)
                first = first or failed
        outputs = None
        if first is None:
            try:
                outputs = evaluate(self.flow.outputs, scope) if self.flow.outputs else {}
            except Failure as failure:
                first = failure.kind
        if first is not None:  # `finally` or the outputs may be what failed
            self.undo(0)
        status = "failed" if first else "succeeded"
        return Outcome(
            status, outputs, first, self.tasks, self.called, self.not_undone, ambiguous=self.ambiguous
        )

    def undo(self, since: int, *, whole: bool = True) -> None:
        """Undo what has been done since, the newest first; the whole run, or an attempt of a group."""
        if whole:
            self.not_undone += self.failed_before
            self.failed_before = []
        while len(self.done) > since:
            one = self.done.pop()
            assert one.task.undo is not None
            scope = Scope(self, one.scope, {"output": one.output})
            failed = self.graph(one.task.undo, scope, None)
            if failed is not None:
                (self.not_undone if whole else self.failed_before).append(failed)

    def var(self, id: str) -> Any:
        return evaluate(self._vars[id], Scope(self, None))

    # -- graphs ------------------------------------------------------------------

    def graph(self, graph: ir.Graph, scope: Scope, prefix: str | None) -> str | None:
        """Run a graph; return the kind of its first error.

        Args:
            graph: its tasks.
            scope: takes how they end.
            prefix: of their paths; None inside maps, where nothing is written down.
        """
        scope.ids = frozenset(task.id for task in graph.tasks)
        first: str | None = None
        open_ = list(graph.tasks)
        while open_:
            task = next(
                task for task in open_ if all(id in scope.tasks for id in task.waits_for if id in scope.ids)
            )
            open_.remove(task)
            outcome = self.end(task, scope, prefix, self.task(task, scope, prefix))
            if outcome.code == FAILED:
                first = first or outcome.error
        return first

    def end(self, task: ir.Task, scope: Scope, prefix: str | None, outcome: TaskOutcome) -> TaskOutcome:
        """Write down how a task ended."""
        if outcome.code != SUCCEEDED:
            outcome.output = None
        scope.tasks[task.id] = outcome
        if prefix is not None:
            self.tasks[prefix + task.id] = outcome
        return outcome

    def task(self, task: ir.Task, scope: Scope, prefix: str | None) -> TaskOutcome:
        """Decide whether a task runs, and run it."""
        code = decide(task.run_when, [scope.tasks[id].code for id in task.needs])
        if code != READY:
            return TaskOutcome(code)
        path = None if prefix is None else prefix + task.id
        try:
            if not self.condition(task, scope):
                return TaskOutcome(SKIPPED)
            if task.map is not None:
                return self.map(task, scope, path)
        except Failure as failure:
            if task.map is None:
                return self.rescued(task, scope, path, failure)
            alias = task.map.alias
            names = ("item", "index") if alias is None else ("item", "index", alias, f"{alias}_index")
            nothing = Scope(self, scope, dict.fromkeys(names))  # there is no element
            return self.rescued(task, nothing, None, failure)
        return self.guarded(task, scope, path)

    def condition(self, task: ir.Task, scope: Scope) -> bool:
        """Evaluate a task's `if`."""
        if task.condition is None:
            return True
        value = evaluate(task.condition, scope)
        if type(value) is str:
            raise Failure(TYPE)
        return bool(value)

    def map(self, task: ir.Task, scope: Scope, path: str | None) -> TaskOutcome:
        """Run a task once for each element."""
        assert task.map is not None
        over = evaluate(task.map.over, scope)
        if type(over) is dict:
            items: list[Any] = [{"key": key, "value": value} for key, value in over.items()]
        elif type(over) is list:
            items = over
        else:
            raise Failure(TYPE)
        outputs: list[Any] = []
        errors: list[str] = []
        tolerate = task.map.tolerate
        most = tolerate if type(tolerate) is not float else math.floor(tolerate * len(items) + 1e-9)
        for index, item in enumerate(items):
            names = {"item": item, "index": index}
            if task.map.alias is not None:
                names |= {task.map.alias: item, f"{task.map.alias}_index": index}
            outcome = self.guarded(task, Scope(self, scope, names), None, path)
            if outcome.code == FAILED and most is None:
                return TaskOutcome(FAILED, None, outcome.error, errors)
            if outcome.code in (FAILED, CONTINUED):
                errors.append(outcome.error or "")
                if most is not None and len(errors) > most:
                    return TaskOutcome(FAILED, None, "map.tolerate", errors)
            outputs.append(outcome.output)
        whole = dict(zip(over, outputs, strict=True)) if type(over) is dict else outputs
        return TaskOutcome(SUCCEEDED, whole, None, errors)

    def guarded(
        self, task: ir.Task, scope: Scope, path: str | None, called: str | None = None
    ) -> TaskOutcome:
        """Do a task's work once, with what `on_error` says."""
        try:
            return TaskOutcome(SUCCEEDED, self.kept(task, scope, path, called or path))
        except Failure as failure:
            return self.rescued(task, scope, path, failure)

    def kept(self, task: ir.Task, scope: Scope, path: str | None, called: str | None) -> Any:
        """Return what an execution with the same key yielded before, or what this one does."""
        if task.cache is None:
            return self.rounds(task, scope, path, called)
        name = (task.at, repr(evaluate(task.cache.key, scope)))
        if name not in self.cache:
            self.cache[name] = self.rounds(task, scope, path, called)
        return self.cache[name]

    def rounds(self, task: ir.Task, scope: Scope, path: str | None, called: str | None) -> Any:
        """Do a task's work again and again."""
        repeat = task.repeat
        if repeat is None:
            return self.attempts(task, scope, path, called)
        state = evaluate(repeat.state, scope) if repeat.state is not None else None
        output, collected, index = None, [], 0
        while True:
            inner = Scope(self, scope, {"loop": {"state": state, "index": index}})
            if not repeat.until and not self.holds(repeat.test, inner):
                break
            if repeat.max is not None and index >= repeat.max:
                raise Failure("repeat.max")
            if path is not None:  # what is seen in the end is the last round
                self.tasks = {
                    known: one for known, one in self.tasks.items() if not known.startswith(path + ".")
                }
            output = self.attempts(task, inner, path, called)
            behind = Scope(self, inner, {"output": output})
            done = repeat.until and self.holds(repeat.test, behind)
            if repeat.collect is not None:
                collected.append(evaluate(repeat.collect, behind))
            state = output
            index += 1
            if done:
                break
        return output if repeat.collect is None else collected

    @staticmethod
    def holds(condition: Any, scope: Scope) -> bool:
        value = evaluate(condition, scope)
        if type(value) is str:
            raise Failure(TYPE)
        return bool(value)

    def rescued(self, task: ir.Task, scope: Scope, path: str | None, failure: Failure) -> TaskOutcome:
        """Do what `on_error` says of a failure."""
        on_error = task.on_error
        if on_error is None or (on_error.on and not kind_matches(failure.kind, on_error.on)):
            return TaskOutcome(FAILED, None, failure.kind)
        inner = Scope(self, scope, {"error": {"kind": failure.kind}})
        if on_error.value is not None:
            try:
                return TaskOutcome(SUCCEEDED, evaluate(on_error.value, inner), failure.kind)
            except Failure as worse:
                return TaskOutcome(FAILED, None, worse.kind)
        if on_error.graph is None:
            return TaskOutcome(CONTINUED, None, failure.kind)
        failed = self.graph(on_error.graph, inner, None if path is None else path + "!")
        if failed is not None:
            return TaskOutcome(FAILED, None, failed)
        outputs = {id: outcome.output for id, outcome in self._in_file_order(on_error.graph, inner)}
        output = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return TaskOutcome(SUCCEEDED, output, failure.kind)

    @staticmethod
    def _in_file_order(graph: ir.Graph, scope: Scope) -> list[tuple[str, TaskOutcome]]:
        return [(task.id, scope.tasks[task.id]) for task in graph.tasks]

    # -- work --------------------------------------------------------------------

    def attempts(self, task: ir.Task, scope: Scope, path: str | None, called: str | None) -> Any:
        """Do a task's work, again as its policy says; what an attempt of a group has done is undone before."""
        most = task.retry.policy.attempts if task.retry is not None else 1
        in_doubt = False
        for attempt in range(1, most + 1):
            before = len(self.done)
            try:
                output = self.checked(task, scope, path, called)
            except Failure as failure:
                begun = type(task.work) is ir.Invoke and not kind_matches(failure.kind, ("expression.*",))
                in_doubt = in_doubt or (begun and kind_matches(failure.kind, DOUBTFUL))
                if attempt == most or kind_matches(failure.kind, NEVER_RETRIED):
                    if in_doubt and task.undo is not None:
                        self.done.append(Done(task, scope, None))
                    raise
                self.undo(before, whole=False)
            else:
                if task.undo is not None:
                    self.done.append(Done(task, scope, output))
                return output
        raise AssertionError("a policy has one attempt at least")

    def checked(self, task: ir.Task, scope: Scope, path: str | None, called: str | None) -> Any:
        """Return what a task's work yields, if its schema allows that."""
        output = self.work(task, scope, path, called)
        wanted = _SCHEMAS.get((task.schema or {}).get("type", ""))
        if wanted is not None and type(output) not in wanted:
            raise Failure("output.schema")
        return output

    def work(self, task: ir.Task, scope: Scope, path: str | None, called: str | None) -> Any:
        """Return what a task's work yields."""
        match task.work:
            case ir.Compute(value=value):
                return evaluate(value, scope)
            case ir.Invoke(type=name, params=params, effect=effect):
                given = evaluate(params, scope)
                if name == "emit":
                    self.events.append((given["event"], given["payload"]))
                    return None
                if effect != "pure":
                    self.called.append((called or task.id, given))
                return self.effects[name](given)
            case ir.Group(graph=graph, outputs=outputs):
                inner = Scope(self, scope)
                failed = self.graph(graph, inner, None if path is None else path + ".")
                if failed is not None:
                    kinds = {one.error for one in inner.tasks.values() if one.code == FAILED}
                    never = {kind_matches(kind or "", NEVER_RETRIED) for kind in kinds}
                    self.ambiguous = self.ambiguous or (task.retry is not None and len(never) > 1)
                    raise Failure(failed)
                if outputs is not None:
                    return evaluate(outputs, inner)
                return {id: outcome.output for id, outcome in self._in_file_order(graph, inner)}
            case ir.Wait(params=params):
                given = evaluate(params, scope)
                found = next((event for event in self.events if event[0] == given["name"]), None)
                if found is None:
                    raise Failure("wait.timeout")
                self.events.remove(found)
                return found[1]
            case ir.Approval(params=params):
                rejects = evaluate(params, scope)["on_timeout"] == "reject"
                raise Failure("approval.rejected" if rejects else "approval.timeout")
            case ir.Sleep(duration=duration, until=until):
                evaluate(duration if duration is not None else until, scope)  # type: ignore[arg-type]
                return None
        raise AssertionError(f"random flows have no {task.work}")
