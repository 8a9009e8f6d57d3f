"""One Python module for one version of a flow: functions are gathered, then compiled at once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.codegen.names import NOTHING_NAME, STATUS_NAME
from flowbuilder.compiler.expressions.explain import Explainer
from flowbuilder.compiler.expressions.generate import GLOBALS, Generator, Names
from flowbuilder.compiler.expressions.tree import Const, Expr
from flowbuilder.core.rules import STATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.plan import Function, Scope


_OURS: dict[str, Any] = {STATUS_NAME: STATUS, NOTHING_NAME: []}


class Deferred:
    """A function of a scope that is compiled when it is first called.

    A fused task needs one of its own only when something in its region fails.
    """

    __slots__ = ("_function", "_make")

    def __init__(self, make: Callable[[], Function]) -> None:
        self._make: Callable[[], Function] | None = make
        self._function: Function | None = None

    def __call__(self, scope: Scope) -> Any:
        """Evaluate the expression in a scope."""
        if self._function is None:
            assert self._make is not None
            self._function, self._make = self._make(), None
        return self._function(scope)


class Module:
    """Gathers the functions of a flow.

    The generated code bears the flow's file name, and the lines of the flow,
    so that a traceback shows the flow and not the code.

    Args:
        file: the flow's file, for tracebacks.
        steps: how many steps one evaluation may take.
    """

    def __init__(self, file: str, steps: int) -> None:
        self._file = file
        self._steps = steps
        self._body: list[ast.stmt] = []
        self._names: list[str] = []
        self._explainers: dict[str, Explainer] = {}
        self._receivers: list[Callable[[Any], None]] = []

    def function(
        self, expr: Expr, names: Names, receive: Callable[[Any], None], line: int, *, condition: bool = False
    ) -> None:
        """Have `receive` called with the function of an expression once the module is compiled."""
        if type(expr) is Const:
            receive(_constantly(expr.value))
            return
        name = f"f{len(self._body)}"
        explain = f"x{len(self._body)}"
        self._explainers[explain] = Explainer(expr, names, self._steps, _OURS)
        definition = Generator(names, self._steps).function(expr, name, condition=condition, explain=explain)
        self.add(definition, receive, line)

    def add(self, definition: ast.FunctionDef, receive: Callable[[Any], None], line: int) -> None:
        """Add a definition as it is; its name must be unique in the module."""
        _place(definition, line)
        self._body.append(definition)
        self._names.append(definition.name)
        self._receivers.append(receive)

    def deferred(self, expr: Expr, names: Names, line: int) -> Function:
        """Return a function that is compiled when it is first called."""
        if type(expr) is Const:
            return _constantly(expr.value)

        def make() -> Function:
            alone = Module(self._file, self._steps)
            made: list[Function] = []
            alone.function(expr, names, made.append, line)
            alone.compile()
            return made[0]

        return Deferred(make)

    def next_name(self) -> str:
        """Return a name that no function of the module has."""
        return f"r{len(self._body)}"

    def compile(self) -> Callable[[], str]:
        """Compile all, hand each function to who asked for it, and return what lists the code."""
        module = ast.Module(self._body, [])
        namespace: dict[str, Any] = {**GLOBALS, **_OURS, **self._explainers}
        exec(compile(module, self._file, "exec", dont_inherit=True), namespace)
        for name, receive in zip(self._names, self._receivers, strict=True):
            receive(namespace[name])
        return lambda: ast.unparse(module)


def _place(tree: ast.AST, line: int) -> None:
    """Say that all of a tree stands in one line of the flow."""
    # hot: benchmarks/compiling.py, 0.4 of what `ast.fix_missing_locations` takes
    stack = [tree]
    while stack:
        node = stack.pop()
        for value in vars(node).values():
            if type(value) is list:
                stack += value
            elif isinstance(value, ast.AST):
                stack.append(value)
        node.lineno = line  # type: ignore[attr-defined]
        node.col_offset = 0  # type: ignore[attr-defined]


def _constantly(value: Any) -> Function:
    return lambda _scope: value
