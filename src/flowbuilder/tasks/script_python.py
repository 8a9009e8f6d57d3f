"""What runs in the process of a `script` in Python: the code as a function, its result back through a pipe.

Started by `tasks.script`; imports little, since every such task pays for it.
"""

from __future__ import annotations

import ast
import asyncio
import linecache
import os
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core import values
from flowbuilder.core.errors import OutputError, TaskFailed

if TYPE_CHECKING:
    from types import FunctionType

CLOSED_GATE: Final = 125
"""Exit code of a child whose engine is gone."""
_NAME: Final = "script"


def main(gate: int, source: int, result: int) -> None:
    """Wait at the gate, run the code, write the outcome, and leave."""
    if not os.read(gate, 1):
        os._exit(CLOSED_GATE)
    os.close(gate)
    with open(source, "rb") as file:
        given = values.decode(file.read())
    sys.path.insert(0, os.getcwd())
    outcome = _outcome(given["code"], given["file"], given["args"])
    sys.stdout.flush()
    sys.stderr.flush()
    with open(result, "wb") as pipe:
        pipe.write(outcome)


def _outcome(code: str, file: str, args: dict[str, Any]) -> bytes:
    try:
        function = make_function(code, file, list(args))
        value = function(**args)
        if asyncio.iscoroutine(value):
            value = asyncio.run(value)
        return values.encode(["value", values.plain(value)])
    except TaskFailed as error:
        data = values.plain_or_text(error.data)
        return values.encode(["failed", error.kind, error.message, data, error.retry_after, None])
    except OutputError as error:
        return values.encode(["failed", error.kind, str(error), None, None, None])
    except SystemExit as error:
        if error.code is None or error.code == 0:
            return values.encode(["value", None])
        message = f"the script left with {str(error.code)[:1000]}"
        return values.encode(["failed", "script.exit", message, None, None, None])
    except BaseException as error:
        return values.encode(
            ["failed", f"python.{type(error).__name__}", _message(error), None, None, _trace(error, file)]
        )


def make_function(code: str, file: str, names: list[str]) -> FunctionType:
    """Return a function with the code as its body and the names as its parameters.

    Raises:
        SyntaxError: the code is none; lines are counted as in the file.
    """
    tree = ast.parse(code, file)
    body = tree.body or [ast.Pass(lineno=1, col_offset=0)]
    kind = ast.AsyncFunctionDef if _awaits(tree.body) else ast.FunctionDef
    parameters = ast.arguments(
        posonlyargs=[],
        args=[],
        kwonlyargs=[ast.arg(name) for name in names],
        kw_defaults=[None] * len(names),
        defaults=[],
    )
    definition = kind(
        name=_NAME, args=parameters, body=body, decorator_list=[], returns=None, type_comment=None
    )
    if sys.version_info >= (3, 12):
        definition.type_params = []
    module = ast.fix_missing_locations(ast.Module(body=[definition], type_ignores=[]))
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)  # for tracebacks
    scope: dict[str, Any] = {"__name__": _NAME, "__file__": file, "__builtins__": __builtins__}
    exec(compile(module, file, "exec"), scope)
    function: FunctionType = scope[_NAME]
    return function


def _awaits(body: list[ast.stmt]) -> bool:
    """Tell whether code awaits something, not counting functions inside it."""
    return any(isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) for node in _own_nodes(body))


def _own_nodes(nodes: list[Any]) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _message(error: BaseException) -> str:
    try:
        return str(error)[:10_000]
    except Exception:  # its author's __str__ may raise anything
        return f"a {type(error).__name__} whose message cannot be made"


def _trace(error: BaseException, file: str) -> str:
    """Return the traceback from the author's code on."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename != file:
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start)).rstrip()[-50_000:]
