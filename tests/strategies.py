"""Strategies that draw valid flows, for properties that hold of every flow.

`cases()` draws a flow as the mapping that its YAML holds, with inputs for a
run; `as_yaml` writes it.  Expressions have a kind by construction, so that
most evaluate; some fail, since failures are what rules are about.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml
from hypothesis import strategies as st

RULES = ("all_success", "none_failed", "any_success", "any_failed", "all_done", "always")

INPUTS: dict[str, Any] = {
    "n": {"type": "integer", "default": 3},
    "flag": {"type": "boolean", "default": True},
    "word": {"type": "string", "default": "abc"},
    "xs": {"type": "array", "items": {"type": "integer"}, "default": [1, 2, 3]},
    "empty": {"type": "array", "items": {"type": "integer"}, "default": []},
    "thing": {"type": "object", "default": {"a": 1, "b": {"c": [4, 5]}}},
}
"""What every drawn flow takes; each has a default."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A flow and what a run of it is started with."""

    flow: dict[str, Any]
    inputs: dict[str, Any]
    """Complete: defaults are filled in."""

    @property
    def text(self) -> str:
        """The flow as YAML."""
        return as_yaml(self.flow)


def as_yaml(flow: dict[str, Any]) -> str:
    """Return a flow's mapping as a file."""
    return yaml.safe_dump(flow, sort_keys=False, allow_unicode=True, width=10_000)


@dataclasses.dataclass(frozen=True)
class Sight:
    """What an expression may mention at some place."""

    tasks: tuple[tuple[str, str], ...] = ()
    """Ids of tasks and the kinds of their outputs."""
    vars: tuple[tuple[str, str], ...] = ()
    item: str | None = None
    """The kind of `item`, inside a map."""
    loop: bool = False
    """Whether `loop.index` is there, inside of rounds."""
    state: bool = False
    """Whether `loop.state` is, an integer."""
    output: str | None = None
    """The kind of `output`, behind a round."""

    def of(self, kind: str) -> list[str]:
        """Return what has a kind."""
        ids = [id for id, has in self.tasks if has == kind]
        found = [f"tasks.{id}.output" for id in ids]
        found += [f"(tasks.{id}.output | default({_CONSTANTS[kind][0]}))" for id in ids]
        found += [f"vars.{name}" for name, has in self.vars if has == kind]
        if self.item == kind:
            found.append("item")
        if self.item is not None and kind == "int":
            found.append("index")
        if self.loop and kind == "int":
            found += ["loop.index", "(loop.index + 1)"]
        if self.state and kind == "int":
            found += ["loop.state", "(loop.state + loop.index)"] * 3
        if self.output == kind:
            found += ["output"] * 2
        return found


_GIVEN = {
    "int": ["inputs.n", "inputs.thing.a", "inputs.xs[0]", "len(inputs.word)"],
    "bool": ["inputs.flag"],
    "text": ["inputs.word"],
    "list": ["inputs.xs", "inputs.empty", "inputs.thing.b.c"],
    "map": ["inputs.thing"],
}
_FAILING = {
    "int": ["inputs.thing.nope", "inputs.n // 0", "inputs.empty[0]", "1 + inputs.word"],
    "bool": ["inputs.n < inputs.word", "inputs.thing.nope"],
    "text": ["inputs.thing.nope", "inputs.word + 1"],
    "list": ["inputs.thing.nope", "[1 // inputs.thing.b.c[9]]", "[x.y for x in inputs.xs]"],
    "map": ["inputs.thing.b.nope"],
}
_OFTEN = {
    "int": ["sum(inputs.xs)", "(len(inputs.xs) + inputs.n)", "len([x for x in inputs.xs if x > 1])"],
    "bool": ["(len(inputs.xs) > 1)"],
    "text": ["(inputs.word + str(inputs.n))"],
    "list": ["[x * inputs.n for x in inputs.xs]", "sorted(inputs.xs)"],
    "map": ["{'k': len(inputs.xs), 'l': sorted(inputs.xs)}"],
}
"""Written again and again, so that there is something to share."""
KINDS = tuple(_GIVEN)


@st.composite
def expressions(draw: st.DrawFn, kind: str, sight: Sight, depth: int = 2) -> str:
    """Draw the text of an expression, without marks, that yields a kind of value if it does not fail."""
    leaves = _GIVEN[kind] + sight.of(kind) * 2 + _CONSTANTS[kind] + _OFTEN[kind] * 3
    if draw(st.integers(0, 99)) == 99:
        return draw(st.sampled_from(_FAILING[kind]))
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(leaves))

    def part(of: str) -> str:
        return draw(expressions(of, sight, depth - 1))

    return _COMPOUND[kind][draw(st.integers(0, len(_COMPOUND[kind]) - 1))](part)


_CONSTANTS = {
    "int": ["0", "1", "7", "-2", "2 * 3", "len([1, 2])"],
    "bool": ["true", "false", "1 < 2", "not true"],
    "text": ["'x'", "'a' + 'b'", '""'],
    "list": ["[]", "[1, 2]", "[x * 2 for x in [1, 2, 3] if x > 1]"],
    "map": ["{'k': 1}", "{}"],
}
_SCHEMAS: dict[str, Any] = {
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "text": {"type": "string"},
    "list": {"type": "array"},
    "map": {"type": "object"},
}
_COMPOUND: dict[str, list[Any]] = {
    "int": [
        lambda p: f"({p('int')} + {p('int')})",
        lambda p: f"({p('int')} - {p('int')})",
        lambda p: f"({p('int')} * 2)",
        lambda p: f"({p('int')} % 7)",
        lambda p: f"sum({p('list')})",
        lambda p: f"len({p('list')})",
        lambda p: f"len({p('text')})",
        lambda p: f"({p('list')} | len)",
        lambda p: f"({p('map')}.k | default({p('int')}))",
        lambda p: f"(inputs.thing.nope | default({p('int')}))",
        lambda p: f"({p('int')} if {p('bool')} else {p('int')})",
        lambda p: f"sum(x + {p('int')} for x in {p('list')})",
        lambda p: f"({p('list')} + [5])[0]",
        lambda p: f"-({p('int')})",
    ],
    "bool": [
        lambda p: f"({p('int')} < {p('int')})",
        lambda p: f"({p('int')} == {p('int')})",
        lambda p: f"({p('int')} in {p('list')})",
        lambda p: f"({p('bool')} and {p('bool')})",
        lambda p: f"({p('bool')} or {p('bool')})",
        lambda p: f"not ({p('bool')})",
        lambda p: f"exists(inputs.thing.{'a' if p('bool') else 'z'})",
        lambda p: f"({p('map')} is not null)",
        lambda p: f"(1 < {p('int')} <= {p('int')})",
        lambda p: f"(len({p('text')}) > 2)",
    ],
    "text": [
        lambda p: f"({p('text')} + {p('text')})",
        lambda p: f"str({p('int')})",
        lambda p: f"({p('text')} if {p('bool')} else {p('text')})",
        lambda p: f"{p('text')}[:2]",
    ],
    "list": [
        lambda p: f"[x + {p('int')} for x in {p('list')}]",
        lambda p: f"[x for x in {p('list')} if x > {p('int')}]",
        lambda p: f"({p('list')} + {p('list')})",
        lambda p: f"[{p('int')}, {p('int')}]",
        lambda p: f"sorted({p('list')})",
        lambda p: f"{p('list')}[:2]",
        lambda p: f"[y for x in {p('list')} for y in [x, x + 1]]",
        lambda p: f"reversed({p('list')})",
        lambda p: f"({p('list')} if {p('bool')} else {p('list')})",
    ],
    "map": [
        lambda p: f"{{'k': {p('int')}, 'l': {p('list')}}}",
        lambda p: f"{{str(x): x * 2 for x in {p('list')}}}",
        lambda p: f"({p('map')} if {p('bool')} else {p('map')})",
    ],
}


@st.composite
def cases(draw: st.DrawFn, *, tasks: int = 8, effects: str | None = None, fails: bool = False) -> Case:
    """Draw a flow and inputs for it.

    Args:
        draw: hypothesis.
        tasks: the most tasks of its main graph.
        effects: the `call` of a Python function that takes `path` and `value`,
            writes them down, and returns `value`, or fails with the kind `fails`;
            without it no task has an effect.
        fails: whether the last task of the main graph fails for certain.
    """
    return _Drawing(draw, effects).case(tasks, fails=fails)


class _Drawing:
    """One flow that is being drawn: ids are counted, so that none comes twice."""

    def __init__(self, draw: st.DrawFn, effects: str | None) -> None:
        self._draw = draw
        self._effects = effects
        self._ids = 0
        self._handlers = False
        """Whether what is drawn follows the main graph: nothing of it is undone."""

    def case(self, most: int, *, fails: bool = False) -> Case:
        variables = self._vars()
        sight = Sight(vars=tuple((name, kind) for name, (kind, _) in variables.items()))
        main, kinds = self.graph(sight, most, 2)
        flow: dict[str, Any] = {"flow": "random", "inputs": INPUTS}
        if variables:
            flow["vars"] = {name: text for name, (_, text) in variables.items()}
        flow["tasks"] = main
        flow |= self._around()
        if fails:
            main["bad"] = {
                "type": "fail",
                "needs": list(main),
                "run_when": "always",
                "with": {"message": "no"},
            }
        self._handlers = True
        behind = dataclasses.replace(sight, tasks=tuple(kinds.items()))
        if self._one_in(3):
            flow["on_failure"], _ = self.graph(behind, 2, 0)
        if self._one_in(4):
            flow["finally"], _ = self.graph(behind, 2, 0)
        if self._one_in(2):
            flow["outputs"] = {"total": self._marked("int", behind), "whole": self._marked("map", behind)}
        return Case(flow, self._inputs())

    def _around(self) -> dict[str, Any]:
        """Draw keys of a flow that change nothing of what a run comes to."""
        keys: dict[str, Any] = {
            "labels": {"of": "random"},
            "deadline": "1000h",
            "timeout": "900h",
            "priority": 70,
            "namespace": "tests",
            "concurrency": {"limit": 1, "key": "${{ inputs.word }}"},
            "debounce": {"wait": "1s", "key": "${{ inputs.word }}"},
        }
        return {key: keys[key] for key in keys if self._one_in(8)}

    def _inputs(self) -> dict[str, Any]:
        given = {name: schema["default"] for name, schema in INPUTS.items()}
        if self._one_in(2):
            given["n"] = self._draw(st.integers(-3, 5))
            given["flag"] = self._draw(st.booleans())
            given["xs"] = self._draw(st.lists(st.integers(0, 9), min_size=0, max_size=3))
        return given

    def _vars(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for number in range(self._draw(st.integers(0, 3))):
            kind = self._draw(st.sampled_from(KINDS))
            sight = Sight(vars=tuple((name, has) for name, (has, _) in found.items()))
            found[f"v{number}"] = (kind, self._marked(kind, sight))
        return found

    def graph(self, sight: Sight, most: int, depth: int) -> tuple[dict[str, Any], dict[str, str]]:
        """Draw tasks, each of which may mention those before it; return them and their outputs' kinds."""
        found: dict[str, Any] = {}
        kinds: dict[str, str] = {}
        for _ in range(self._draw(st.integers(1, most))):
            self._ids += 1
            id = f"t{self._ids}"
            inner = dataclasses.replace(sight, tasks=(*sight.tasks, *kinds.items()))
            task, kind = self.task(id, inner, list(kinds), depth)
            found[id] = task
            kinds[id] = kind
        names = list(found)
        if self._one_in(3):  # the order in a file means nothing
            names = self._draw(st.permutations(names))
        return {name: found[name] for name in names}, kinds

    def task(self, id: str, sight: Sight, before: list[str], depth: int) -> tuple[dict[str, Any], str]:
        """Draw a task; return it and the kind of its output."""
        task: dict[str, Any] = {}
        if before and self._one_in(5):
            task["needs"] = self._draw(st.lists(st.sampled_from(before), min_size=1, max_size=2, unique=True))
        if self._one_in(8):
            task["run_when"] = self._draw(st.sampled_from(RULES))
        if self._one_in(4):
            task["if"] = self._condition(sight)
        mapped = self._one_in(7)
        inner = sight
        if mapped:
            inner = dataclasses.replace(sight, item="map" if self._one_in(4) else "int")
        if self._one_in(6):
            work, kind = self._rounds(id, inner, depth)
        else:
            work, kind = self._work(id, inner, depth)
        task |= work
        if self._effects:
            self._effectful(id, task)
        if self._one_in(10):
            task["cache"] = {"key": self._marked(self._draw(st.sampled_from(("int", "list", "text"))), inner)}
        if task["type"] in ("set", "switch", "python") and kind in _SCHEMAS and self._one_in(10):
            # not all of what is drawn with a kind is of it
            task["schema"] = _SCHEMAS[kind] if self._one_in(3) else {}
        if self._one_in(12):
            task["sensitive"] = True
        if mapped:
            if inner.item == "map":
                task["matrix"] = {
                    "a": self._marked("list", sight),
                    "b": [1, 2][: self._draw(st.integers(1, 2))],
                }
            else:
                task["for_each"] = self._marked("list", sight)
            kind = "list" if kind == "int" else "other"
            if self._one_in(3):
                task["tolerate"] = self._draw(st.sampled_from((0, 1, "50%", "100%")))
                kind = "other"
        if self._one_in(7):
            # of several failures inside a task nobody says which is the first
            one = not mapped and work["type"] != "group"
            task["on_error"], kind = self._on_error(inner, depth, kind, one=one)
        return task, kind

    def _effectful(self, id: str, task: dict[str, Any]) -> None:
        """Draw what holds of attempts, and how a task is undone."""
        name = task["type"]
        if name not in ("python", "group"):
            return
        if not self._handlers and self._one_in(2 if name == "python" else 4):
            args: dict[str, Any] = {"path": f"{id}~undo", "value": "${{ output }}"}
            if self._one_in(5):
                args["fails"] = "boom"
            task["undo"] = {"type": "python", "with": {"call": self._effects, "args": args}}
        if self._one_in(4):
            task["retry"] = {"attempts": 2, "delay": "1s", "jitter": "none"}
        if name == "group":
            return
        limits: dict[str, Any] = {
            "rate_limit": {"limit": 2, "per": "1s"},
            "circuit_breaker": {"failures": 1000, "reset": "1s"},
            "queue": "few",
            "resources": {"cpu": 1},
            "executor": "inline",
            "priority": 90,
        }
        task |= {key: limits[key] for key in limits if self._one_in(8)}

    def _rounds(self, id: str, sight: Sight, depth: int) -> tuple[dict[str, Any], str]:
        """Draw a task in rounds: one whose state is a number, or any other."""
        inside = dataclasses.replace(sight, loop=True, state=self._one_in(2), output=None)
        repeat: dict[str, Any] = {"max": self._draw(st.integers(1, 4))}
        if inside.state:
            work, kind = {"type": "set", "with": self._marked("int", inside)}, "int"
            repeat["state"] = self._marked("int", sight)
        else:
            work, kind = self._work(id, inside, depth)
        behind = dataclasses.replace(inside, output=kind)
        if self._one_in(2):
            repeat["while"] = self._round_condition(inside)
            kind = "other"  # null where there is no round
        else:
            repeat["until"] = self._round_condition(behind)
        if self._one_in(2):
            collected = "int" if self._one_in(2) else "list"
            repeat["collect"] = self._marked(collected, behind)
            kind = "list" if collected == "int" else "other"
        return {**work, "repeat": repeat}, kind

    def _round_condition(self, sight: Sight) -> str:
        if self._one_in(3):
            return self._draw(expressions("bool", sight, 1))
        return f"loop.index {self._draw(st.sampled_from(('<', '>=')))} {self._draw(st.integers(0, 3))}"

    def _condition(self, sight: Sight) -> str:
        if sight.tasks and self._one_in(5):
            id, _ = self._draw(st.sampled_from(sight.tasks))
            return f"tasks.{id}.status {self._draw(st.sampled_from(('==', '!=')))} 'succeeded'"
        return self._draw(expressions("bool", sight, 1))

    def _work(self, id: str, sight: Sight, depth: int) -> tuple[dict[str, Any], str]:
        choices = ["set"] * 12 + ["switch", "switch", "log", "assert", "fail"]
        choices += ["group"] * 2 if depth else []
        choices += ["sleep", "answered", "asked"]
        choices += ["effect"] * 4 + ["refused"] if self._effects else []
        match self._draw(st.sampled_from(choices)):
            case "set":
                kind = self._draw(st.sampled_from(KINDS))
                return {"type": "set", "with": self._marked(kind, sight)}, kind
            case "switch":
                kind = self._draw(st.sampled_from(KINDS))
                cases = [
                    {"when": self._draw(expressions("bool", sight, 1)), "value": self._marked(kind, sight)}
                    for _ in range(self._draw(st.integers(1, 2)))
                ]
                return {
                    "type": "switch",
                    "with": {"cases": cases, "default": self._marked(kind, sight)},
                }, kind
            case "assert":
                return {"type": "assert", "with": {"that": self._marked("bool", sight)}}, "other"
            case "fail":
                return {"type": "fail", "with": {"kind": "boom", "message": "it was to be"}}, "other"
            case "log":
                return {"type": "log", "with": {"message": self._marked("text", sight)}}, "other"
            case "effect":
                args = {"path": id, "value": self._marked("int", sight)}
                return {"type": "python", "with": {"call": self._effects, "args": args}}, "int"
            case "refused":
                args = {
                    "path": id,
                    "value": 0,
                    "fails": self._draw(st.sampled_from(("boom", "timeout", "http.503"))),
                }
                return {"type": "python", "with": {"call": self._effects, "args": args}}, "other"
            case "sleep":
                return {"type": "sleep", "with": {"for": self._draw(st.sampled_from(("1s", "2h")))}}, "other"
            case "asked":
                how = self._draw(st.sampled_from(("fail", "reject")))
                return {
                    "type": "approval",
                    "with": {"message": "?", "timeout": "1s", "on_timeout": how},
                }, "other"
            case "answered":
                return self._answered(id, sight)
        tasks, kinds = self.graph(sight, 3, depth - 1)
        group: dict[str, Any] = {"type": "group", "tasks": tasks}
        if self._one_in(2):
            seen = dataclasses.replace(sight, tasks=(*sight.tasks, *kinds.items()))
            group["outputs"] = {"k": self._marked("int", seen)}
            return group, "map"
        return group, "other"

    def _answered(self, id: str, sight: Sight) -> tuple[dict[str, Any], str]:
        """Draw a group that emits an event and waits for it, or for one that never comes."""
        event = f"{id}.said"
        heard = event if not self._one_in(4) else f"{id}.never"
        said = {"type": "emit", "with": {"event": event, "payload": self._marked("int", sight)}}
        wait = {"type": "wait", "needs": [f"{id}s"], "with": {"event": heard, "timeout": "1s"}}
        tasks = {f"{id}s": said, f"{id}w": wait}
        return {"type": "group", "tasks": tasks, "outputs": {"k": f"${{{{ tasks.{id}w.output }}}}"}}, "map"

    def _on_error(self, sight: Sight, depth: int, kind: str, *, one: bool) -> tuple[Any, str]:
        """Draw what is done about a failure; `one` says that its kind is certain."""
        match self._draw(st.integers(0, 2)):
            case 0:
                return "continue", kind
            case 1 if kind in KINDS:
                rescue: dict[str, Any] = {"value": self._marked(kind, sight)}
            case 1:
                rescue = {"value": "${{ error.kind }}" if one else "rescued"}
            case _:
                rescue = {"tasks": self.graph(sight, 2, 0)[0]}
                kind = "other"
        if one and self._one_in(3):
            rescue["on"] = self._draw(st.sampled_from((["boom"], ["expression.*"], ["nope", "assert*"])))
        return rescue, kind

    def _marked(self, kind: str, sight: Sight) -> str:
        return f"${{{{ {self._draw(expressions(kind, sight))} }}}}"

    def _one_in(self, count: int) -> bool:
        return self._draw(st.integers(1, count)) == count  # shrinks to no
