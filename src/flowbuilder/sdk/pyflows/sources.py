"""What a Python file says of itself, read and not run: whether it has flows, and which files it imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

_FLOW: Final = "flow"
_PACKAGE: Final = "flowbuilder"
_LIKELY: Final = re.compile(rb"^\s*(from|import)\s+flowbuilder\b", re.MULTILINE)


def uses_flow(text: bytes) -> bool:
    """Tell whether a source imports flowbuilder's `flow` and uses it outside of functions' bodies.

    One that is no Python is taken by its word: it names flowbuilder, and `flow`.
    """
    if not _LIKELY.search(text):
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return re.search(rb"\bflow\b", text) is not None
    names, packages = set[str](), set[str]()
    for node in _outside(tree.body):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(node.module):
            names |= {each.asname or each.name for each in node.names if each.name == _FLOW}
            if any(each.name == "*" for each in node.names):
                names.add(_FLOW)
        elif isinstance(node, ast.Import):
            packages |= {each.asname or _PACKAGE for each in node.names if _is_ours(each.name)}
    return any(_is_use(node, names, packages) for node in _outside(tree.body))


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == _PACKAGE


def _is_use(node: ast.AST, names: set[str], packages: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    return (
        isinstance(node, ast.Attribute)
        and node.attr == _FLOW
        and isinstance(node.value, ast.Name)
        and node.value.id in packages
    )


def _outside(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield what is done when a module is imported: of functions their decorators only."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += node.decorator_list
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def sources_of(file: Path, roots: Sequence[Path]) -> set[str]:
    """Return a file with all that it imports below the roots, and what those import.

    What is imported by a name that is made up only then is not seen.
    """
    found: set[str] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if str(path) in found:
            continue
        found.add(str(path))
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                waiting += _imported(node, path, roots)
    return found


def _imported(node: ast.Import | ast.ImportFrom, file: Path, roots: Sequence[Path]) -> Iterator[Path]:
    if isinstance(node, ast.Import):
        names, bases = [each.name for each in node.names], roots
    else:
        module = node.module or ""
        names = [f"{module}.{each.name}".strip(".") for each in node.names] + [module] * bool(module)
        bases = roots if not node.level else [file.parents[min(node.level, len(file.parents)) - 1]]
    for name in names:
        for base in bases:
            yield from _files_of(base, name.split("."))


def _files_of(base: Path, steps: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a module and of the packages around it."""
    for step in steps:
        if (base / f"{step}.py").is_file():
            yield base / f"{step}.py"
            return
        base /= step
        if (base / "__init__.py").is_file():
            yield base / "__init__.py"
        elif not base.is_dir():
            return
