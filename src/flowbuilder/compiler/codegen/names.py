"""Where the value of a name lies: the code generator's half of name resolution.

A `Level` is one scope list of `core.plan`; levels nest as scopes do.  By the
time code is generated every name is known to be right: the checks said so.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.expressions.tree import Expr, Index, Member, Name
from flowbuilder.core.plan import (
    CODES,
    CONTEXT,
    ERROR,
    ERRORS,
    HEADER,
    INDEX,
    ITEM,
    LOOP,
    OUTPUT,
    PARENT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTEXT_VALUES: Final = frozenset({"inputs", "env", "run", "trigger", "config", "secrets"})
STATUS_NAME: Final = "_status"
"""Global of generated code: `core.rules.STATUS`."""
NOTHING_NAME: Final = "_no_errors"
"""Global of generated code: an empty list, for tasks that had no errors."""


class Level:
    """One scope around an expression.

    Args:
        parent: the level around.
        slots: of a graph, its tasks by id.
        element: whether it is one element of a map; `alias` is its `as`.
        error: whether `error` means something here.
        output: whether `output` does.
        event: whether `event` does, in the place of an element.
        loop: whether it is what rounds happen in.
    """

    __slots__ = ("alias", "element", "error", "event", "loop", "output", "parent", "slots")

    def __init__(
        self,
        parent: Level | None,
        slots: Mapping[str, int] | None = None,
        *,
        element: bool = False,
        alias: str | None = None,
        error: bool = False,
        output: bool = False,
        event: bool = False,
        loop: bool = False,
    ) -> None:
        self.event = event
        self.parent = parent
        self.slots: Mapping[str, int] = slots or {}
        self.element = element
        self.alias = alias
        self.error = error
        self.output = output
        self.loop = loop


class ScopeNames:
    """Resolves names of an expression that is evaluated in the scope of `level`.

    `locals` are tasks of the same region, whose outputs are local variables.
    `error_here`: the expression's own scope holds the error (`retry.if`, `on_error.value`).
    """

    def __init__(
        self,
        level: Level,
        variables: Mapping[str, int],
        local: Mapping[str, str] | None = None,
        *,
        error_here: bool = False,
    ) -> None:
        self.level = level
        self._variables = variables
        self._local = local if local is not None else {}
        self._error_here = error_here

    def context(self) -> ast.expr:
        """Return what loads the run's context."""
        return at(_scope(), CONTEXT)

    def resolve(self, expr: Name | Member | Index) -> ast.expr | None:
        """Return what loads the value of a chain, or None to try a shorter one."""
        path = chain(expr)
        if path is None:
            return None
        match path:
            case ("tasks", task, field):
                return self._task(task, field)
            case ("vars", name):
                return _call(_attribute(self.context(), "var"), ast.Constant(self._variables[name]))
            case (name,):
                return self._name(name)
        return None

    def _name(self, name: str) -> ast.expr | None:
        if name in self._local:
            return ast.Name(self._local[name], ast.Load())
        if name in _CONTEXT_VALUES:
            return _attribute(self.context(), name)
        if name == "error":
            return self._error()
        if name == "output":
            return self._output()
        if name == "loop":
            return self._loop()
        return self._element(name)

    def _task(self, task: str, field: str) -> ast.expr:
        if field == "output" and task in self._local:
            return ast.Name(self._local[task], ast.Load())
        scope, level = _scope(), self.level
        while task not in level.slots:
            scope, level = _outwards(scope, level)
        slot = level.slots[task]
        match field:
            case "output":
                return at(scope, HEADER + slot)
            case "status":
                return ast.Subscript(
                    ast.Name(STATUS_NAME, ast.Load()), at(at(scope, CODES), slot), ast.Load()
                )
            case "error":
                return _call(_attribute(at(scope, ERRORS), "get"), ast.Constant(slot))
            case _:
                return _call(
                    _attribute(at(scope, ERRORS), "get"),
                    ast.Constant(~slot),
                    ast.Name(NOTHING_NAME, ast.Load()),
                )

    def _element(self, name: str) -> ast.expr | None:
        scope, level = _scope(), self.level
        while True:
            if level.event and name == "event":
                return at(scope, ITEM)
            if level.element:
                if name in ("item", level.alias):
                    return at(scope, ITEM)
                if name == "index" or (level.alias is not None and name == level.alias + "_index"):
                    return at(scope, INDEX)
            if level.parent is None:
                return None
            scope, level = _outwards(scope, level)

    def _loop(self) -> ast.expr:
        scope, level = _scope(), self.level
        while not level.loop:
            scope, level = _outwards(scope, level)
        return at(scope, LOOP)

    def _error(self) -> ast.expr:
        scope, level = _scope(), self.level
        if self._error_here:
            return at(scope, ERROR)
        while not level.error and level.parent is not None:
            scope, level = _outwards(scope, level)
        return at(scope, ERROR)

    def _output(self) -> ast.expr:
        scope, level = _scope(), self.level
        while not level.output:
            scope, level = _outwards(scope, level)
        return at(scope, OUTPUT)


class VariableNames(ScopeNames):
    """Names inside `vars`: their functions are given the context itself."""

    def context(self) -> ast.expr:
        """Return what loads the run's context."""
        return _scope()


def chain(expr: Expr) -> tuple[str, ...] | None:
    """Return a chain of members from a name as texts: `tasks.a.output` → its three parts."""
    parts: list[str] = []
    while isinstance(expr, Member):
        parts.append(expr.name)
        if len(parts) > 2:
            return None
        expr = expr.of
    if not isinstance(expr, Name):
        return None
    parts.append(expr.id)
    return tuple(reversed(parts))


def at(scope: ast.expr, place: int | str) -> ast.expr:
    """Return what loads a place of a list, or a member of a mapping."""
    return ast.Subscript(scope, ast.Constant(place), ast.Load())


def _outwards(scope: ast.expr, level: Level) -> tuple[ast.expr, Level]:
    assert level.parent is not None, "the checks let an unknown name through"
    return at(scope, PARENT), level.parent


def _scope() -> ast.expr:
    return ast.Name("s", ast.Load())


def _attribute(of: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(of, name, ast.Load())


def _call(function: ast.expr, *args: ast.expr) -> ast.expr:
    return ast.Call(function, list(args), [])
