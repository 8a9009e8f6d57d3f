"""The function of a region: fused pure tasks as straight-line Python.

It puts outputs and codes into the scope and returns the outputs, a list in
the order of the region's tasks.  Whatever it raises means: nothing has
happened; run the tasks one by one, and the one at fault will say so itself.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flowbuilder.compiler.codegen.names import Level, ScopeNames, at
from flowbuilder.compiler.expressions.generate import Generator
from flowbuilder.core.plan import CODES, HEADER
from flowbuilder.core.rules import SKIPPED, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler import ir


def region_function(
    name: str,
    fused: ir.Fused,
    tasks: Mapping[str, ir.Task],
    level: Level,
    variables: Mapping[str, int],
    steps: int,
) -> ast.FunctionDef:
    """Return the definition of a region's function of one parameter, the scope `s`."""
    writer = _Writer(fused, tasks, level, variables, steps)
    return ast.FunctionDef(
        name=name,
        args=ast.arguments([], [ast.arg("s")], None, [], [], None, []),
        body=writer.body(),
        decorator_list=[],
    )


def maybe_skipped(fused: ir.Fused, tasks: Mapping[str, ir.Task]) -> frozenset[str]:
    """Return the tasks of a region that may be skipped: by a condition, or behind such a task."""
    found: set[str] = set()
    for id in fused.tasks:
        task = tasks[id]
        if task.condition is not None or not found.isdisjoint(task.needs):
            found.add(id)
    return frozenset(found)


class _Writer:
    def __init__(
        self,
        fused: ir.Fused,
        tasks: Mapping[str, ir.Task],
        level: Level,
        variables: Mapping[str, int],
        steps: int,
    ) -> None:
        self._fused = fused
        self._tasks = tasks
        self._slots = level.slots
        self._local: dict[str, str] = {}
        self._maybe = maybe_skipped(fused, tasks)
        names = ScopeNames(level, variables, self._local)
        self._generator = Generator(names, steps)

    def body(self) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for place, (id, value) in enumerate(zip(self._fused.tasks, self._fused.values, strict=True)):
            for number, shared in enumerate(self._fused.shared):
                if shared.before == place:
                    statements.append(_assign(f"c{number}", self._generator.expression(shared.value)))
                    self._local[shared.name] = f"c{number}"
            compute = _assign(f"t{place}", self._generator.expression(value))
            if id in self._maybe:
                statements += self._conditional(id, place, compute)
            else:
                statements.append(compute)
            self._local[id] = f"t{place}"
        outputs: list[ast.expr] = [
            ast.Name(f"t{place}", ast.Load()) for place in range(len(self._fused.tasks))
        ]
        # the budget is asked for last: only then is it known whether one is needed
        return [
            *self._generator.budget(),
            *statements,
            *self._store(outputs),
            ast.Return(ast.List(outputs, ast.Load())),
        ]

    def _conditional(self, id: str, place: int, compute: ast.stmt) -> list[ast.stmt]:
        """Run a task only if the rule and its condition say so; else its output is null."""
        task = self._tasks[id]
        tests: list[ast.expr] = []
        doubtful = [need for need in task.needs if need in self._maybe]
        if doubtful and len(doubtful) == len(task.needs):
            ran: list[ast.expr] = [_equals(self._code(need), SUCCEEDED) for need in doubtful]
            tests.append(ran[0] if len(ran) == 1 else ast.BoolOp(ast.Or(), ran))
        if task.condition is not None:
            tests.append(self._generator.condition(task.condition))
        if not tests:
            return [compute, self._set_code(id, SUCCEEDED)]
        test = tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)
        skip: list[ast.stmt] = [_assign(f"t{place}", ast.Constant(None)), self._set_code(id, SKIPPED)]
        return [ast.If(test, [compute, self._set_code(id, SUCCEEDED)], skip)]

    def _code(self, id: str) -> ast.expr:
        return at(at(ast.Name("s", ast.Load()), CODES), self._slots[id])

    def _set_code(self, id: str, code: int) -> ast.stmt:
        codes = at(ast.Name("s", ast.Load()), CODES)
        place = ast.Subscript(codes, ast.Constant(self._slots[id]), ast.Store())
        return ast.Assign([place], ast.Constant(code))

    def _store(self, outputs: list[ast.expr]) -> list[ast.stmt]:
        """Put outputs into the scope, neighbours in one slice; codes of certain tasks likewise."""
        statements: list[ast.stmt] = []
        ids = self._fused.tasks
        for first, last in _neighbours([self._slots[id] for id in ids]):
            slot = self._slots[ids[first]]
            count = last - first + 1
            scope = ast.Name("s", ast.Load())
            values = ast.Tuple(outputs[first : last + 1], ast.Load())
            statements.append(ast.Assign([_slice(scope, HEADER + slot, count)], values))
            if not any(id in self._maybe for id in ids[first : last + 1]):
                codes = at(ast.Name("s", ast.Load()), CODES)
                statements.append(
                    ast.Assign([_slice(codes, slot, count)], ast.Constant(bytes([SUCCEEDED]) * count))
                )
            else:
                statements += [
                    self._set_code(id, SUCCEEDED) for id in ids[first : last + 1] if id not in self._maybe
                ]
        return statements


def _neighbours(slots: list[int]) -> list[tuple[int, int]]:
    """Return the stretches of `slots` that count up by one, as first and last places."""
    stretches: list[tuple[int, int]] = []
    first = 0
    for place in range(1, len(slots) + 1):
        if place == len(slots) or slots[place] != slots[place - 1] + 1:
            stretches.append((first, place - 1))
            first = place
    return stretches


def _slice(of: ast.expr, start: int, count: int) -> ast.Subscript:
    return ast.Subscript(of, ast.Slice(ast.Constant(start), ast.Constant(start + count)), ast.Store())


def _equals(value: ast.expr, code: int) -> ast.expr:
    return ast.Compare(value, [ast.Eq()], [ast.Constant(code)])


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)
