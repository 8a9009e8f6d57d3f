"""What Python would answer in silence, before the flow runs: found in the text of a flow's function.

A value of a run refuses to be true, to have a length, to be gone through.
Two things it cannot refuse, for Python does not ask it: `x is None`, and a
`try` around a call that is only recorded.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.span import Span
from flowbuilder.sdk.pyflows.places import column, shown_file

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.flows import Flow

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def silent_mistakes(flow: Flow[..., Any]) -> Iterator[Diagnostic]:
    """Yield what a flow's function asks of values that are not there yet, and what it catches of tasks that run later."""
    function = inspect.unwrap(flow.fn)
    file = function.__code__.co_filename
    lines = linecache.getlines(file)
    stated = _stated("".join(lines), function.__code__.co_name, function.__code__.co_firstlineno)
    if stated is None:
        return
    scope = _scope(function)
    recorded = _recorded(stated, scope)
    for node in sorted(ast.walk(stated), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.Compare) and (asked := _asked_for_nothing(node, recorded)):
            yield _found(
                file,
                lines,
                node,
                f"Python answers `{ast.unparse(node)}` at once, and '{asked}' is known only when the flow runs",
                f"write `{'~' if isinstance(node.ops[0], ast.IsNot) else ''}{asked}.is_null()`",
            )
        elif isinstance(node, ast.Try) and node.handlers and (called := _called(node.body, scope)):
            yield _found(
                file,
                lines,
                node.handlers[0],
                f"this catches nothing of '{called}', which is recorded here and runs later",
                f'write `{called}(…, on_error="continue")`, or `on_error=lambda error: …` for what runs instead',
            )


@functools.lru_cache(maxsize=64)
def _stated(text: str, name: str, line: int) -> _Function | None:
    """Return the function of a name whose first line, with its decorators, is `line`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, _Function) and node.name == name and _first_line(node) == line:
            return node
    return None


def _first_line(function: _Function) -> int:
    return min([function.lineno, *(each.lineno for each in function.decorator_list)])


def _scope(function: Any) -> dict[str, Any]:
    """Return what names mean inside of a function."""
    closed = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            closed[name] = cell.cell_contents
        except ValueError:  # it is defined further down
            continue
    return {**function.__globals__, **closed}


def _is_recorded(call: ast.AST, scope: dict[str, Any]) -> str:
    """Return the name of the task or flow that a node calls; empty where it calls none."""
    from flowbuilder.sdk.pyflows.flows import Flow
    from flowbuilder.sdk.pyflows.tasks import Task

    if isinstance(call, ast.Await):
        call = call.value
    match call:
        case ast.Call(func=ast.Name(id=name)) if isinstance(scope.get(name), Task | Flow):
            return name
        case _:
            return ""


def _recorded(stated: _Function, scope: dict[str, Any]) -> set[str]:
    """Return names that stand for nothing but values of a run: inputs, and what tasks have given."""
    given = stated.args
    recorded = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    targets: set[ast.AST] = set()
    nodes = list(ast.walk(stated))
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name() as target], value=value) if _is_recorded(value, scope):
                recorded.add(target.id)
                targets.add(target)
    for node in nodes:
        match node:
            case ast.Name(id=id, ctx=ast.Store()) if node not in targets:
                recorded.discard(id)
            case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef() if node is not stated:
                recorded -= {each.arg for each in node.args.args}
    return recorded


def _asked_for_nothing(node: ast.Compare, recorded: set[str]) -> str:
    """Return what is asked whether it is None; empty where that is nothing of a run."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Is | ast.IsNot):
        return ""
    right = node.comparators[0]
    if not isinstance(right, ast.Constant) or right.value is not None:
        return ""
    root: ast.AST = node.left
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    return ast.unparse(node.left) if isinstance(root, ast.Name) and root.id in recorded else ""


def _called(body: list[ast.stmt], scope: dict[str, Any]) -> str:
    for statement in body:
        for node in ast.walk(statement):
            if name := _is_recorded(node, scope):
                return name
    return ""


def _found(file: str, lines: list[str], node: Any, what: str, hint: str) -> Diagnostic:
    first, start = node.lineno, column(lines, node.lineno, node.col_offset)
    if isinstance(node, ast.ExceptHandler):  # its first word, and not all that it does
        span = Span(shown_file(file), first, start, first, start + len("except"))
    else:
        span = Span(
            shown_file(file),
            first,
            start,
            node.end_lineno,
            column(lines, node.end_lineno, node.end_col_offset),
        )
    return Diagnostic("FB291", what, span, (hint,))
