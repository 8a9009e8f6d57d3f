"""A plain evaluator of expression trees: the part of the language that random flows use.

It follows `language.md` and shares no code with the compiler, whose generated
code it is compared with.
"""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any, Protocol

from flowbuilder.compiler.expressions import tree

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failure(Exception):
    """An expression failed, with a kind as users see it."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


MISSING, TYPE, VALUE = "expression.missing", "expression.type", "expression.value"


class Names(Protocol):
    """Where the values of names come from."""

    def name(self, id: str) -> Any: ...
    def task(self, id: str, field: str) -> Any: ...
    def var(self, id: str) -> Any: ...


def evaluate(expr: tree.Expr, names: Names, local: dict[str, Any] | None = None) -> Any:
    """Return the value of an expression.

    Args:
        expr: the tree.
        names: of the flow.
        local: of loops, and of what the optimizer has put aside.

    Raises:
        Failure: if it has none.
    """
    return _Evaluation(names).of(expr, local or {})


class _Evaluation:
    def __init__(self, names: Names) -> None:
        self._names = names

    def of(self, expr: tree.Expr, local: dict[str, Any]) -> Any:
        match expr:
            case tree.Const(value=value):
                return value
            case tree.Name(id=id):
                return local[id] if id in local else self._names.name(id)
            case tree.Member(of=tree.Member(of=tree.Name(id="tasks"), name=task), name=field):
                return self._names.task(task, field)
            case tree.Member(of=tree.Name(id="vars"), name=name):
                return self._names.var(name)
            case tree.Member(of=of, name=name):
                return _member(self.of(of, local), name)
            case tree.Index(of=of, index=index):
                value = self.of(of, local)
                return _index(value, self.of(index, local))
            case tree.Slice():
                return self._slice(expr, local)
            case tree.List(items=items):
                return [self.of(item, local) for item in items]
            case tree.Dict(items=items):
                return {_key(self.of(key, local)): self.of(value, local) for key, value in items}
            case tree.ListComp(value=value, loops=loops):
                return [self.of(value, inner) for inner in self._loop(loops, local)]
            case tree.DictComp(key=key, value=value, loops=loops):
                return {
                    _key(self.of(key, inner)): self.of(value, inner) for inner in self._loop(loops, local)
                }
            case tree.Call():
                return self._call(expr, local)
            case tree.Negate(of=of):
                return -_number(self.of(of, local))
            case tree.Binary(op=op, left=left, right=right):
                first = self.of(left, local)
                return _arithmetic(op, first, self.of(right, local))
            case tree.Compare(first=first, rest=rest):
                return self._compare(first, rest, local)
            case tree.Not(of=of):
                return not self.of(of, local)
            case tree.Logic(op=op, operands=operands):
                return self._logic(op, operands, local)
            case tree.Choice(condition=condition, then=then, otherwise=otherwise):
                return self.of(then if self.of(condition, local) else otherwise, local)
            case tree.Text(parts=parts):
                return "".join([_written(self.of(part, local)) for part in parts])

    def _slice(self, expr: tree.Slice, local: dict[str, Any]) -> Any:
        value = self.of(expr.of, local)
        ends = [None if part is None else self.of(part, local) for part in (expr.start, expr.stop, expr.step)]
        if value is None:
            raise Failure(MISSING)
        if type(value) not in (str, list) or any(end is not None and type(end) is not int for end in ends):
            raise Failure(TYPE)
        if ends[2] == 0:
            raise Failure(VALUE)
        return value[slice(*ends)]

    def _loop(self, loops: tuple[tree.For, ...], local: dict[str, Any]) -> Iterator[dict[str, Any]]:
        first, *rest = loops
        over = self.of(first.over, local)
        if type(over) is dict:
            over = list(over)
        if type(over) is not list:
            raise Failure(TYPE)
        for item in over:
            if len(first.names) > 1:
                if type(item) is not list or len(item) != len(first.names):
                    raise Failure(TYPE)
                inner = {**local, **dict(zip(first.names, item, strict=True))}
            else:
                inner = {**local, first.names[0]: item}
            if all(self.of(condition, inner) for condition in first.conditions):
                if rest:
                    yield from self._loop(tuple(rest), inner)
                else:
                    yield inner

    def _compare(self, first: tree.Expr, rest: Any, local: dict[str, Any]) -> bool:
        left = self.of(first, local)
        for op, operand in rest:
            right = self.of(operand, local)
            if not _holds(op, left, right):
                return False
            left = right
        return True

    def _logic(self, op: str, operands: tuple[tree.Expr, ...], local: dict[str, Any]) -> Any:
        value = None
        for operand in operands:
            value = self.of(operand, local)
            if bool(value) is (op == "or"):
                return value
        return value

    def _along(self, expr: tree.Expr, local: dict[str, Any]) -> tuple[bool, Any]:
        """Go along a path; return whether there is anything at its end, and what.

        Only a step that is missing counts as that; any other failure is one.
        """
        steps = []
        while not _is_root(expr):
            steps.append(expr)
            expr = expr.of  # type: ignore[union-attr]
        value = self.of(expr, local)
        for step in reversed(steps):
            index = self.of(step.index, local) if type(step) is tree.Index else step.name  # type: ignore[union-attr]
            try:
                value = _index(value, index) if type(step) is tree.Index else _member(value, index)
            except Failure as failure:
                if failure.kind != MISSING:
                    raise
                return False, None
        return True, value

    def _call(self, expr: tree.Call, local: dict[str, Any]) -> Any:
        if expr.function == "default":
            found, value = self._along(expr.args[0], local)
            return self.of(expr.args[1], local) if not found or value is None else value
        if expr.function == "exists":
            return self._along(expr.args[0], local)[0]
        args = [self.of(arg, local) for arg in expr.args]
        assert not expr.named, expr
        return _FUNCTIONS[expr.function](*args)


def _is_root(expr: tree.Expr) -> bool:
    """Tell whether a path begins here: with a task's field, a variable, or what is no member of anything."""
    match expr:
        case tree.Member(of=tree.Name(id="vars")):
            return True
        case tree.Member(of=tree.Member(of=tree.Name(id="tasks"))):
            return True
    return type(expr) not in (tree.Member, tree.Index)


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    if type(key) is int:
        return str(key)
    raise Failure(TYPE)


def _member(value: Any, name: str) -> Any:
    if value is None:
        raise Failure(MISSING)
    if type(value) is not dict:
        raise Failure(TYPE)
    if name not in value:
        raise Failure(MISSING)
    return value[name]


def _index(value: Any, index: Any) -> Any:
    if value is None:
        raise Failure(MISSING)
    if type(value) is dict:
        return _member(value, _key(index))
    if type(value) not in (list, str) or type(index) is not int:
        raise Failure(TYPE)
    try:
        return value[index]
    except IndexError:
        raise Failure(MISSING) from None


def _number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise Failure(TYPE)
    return value


def _arithmetic(op: str, left: Any, right: Any) -> Any:
    if op == "+" and type(left) is type(right) and type(left) in (str, list):
        return left + right
    left, right = _number(left), _number(right)
    if op in ("/", "//", "%") and right == 0:
        raise Failure(VALUE)
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            return left // right
        case "%":
            return left % right
        case _:
            return left**right


def _holds(op: str, left: Any, right: Any) -> bool:
    match op:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "is null":
            return left is None
        case "is not null":
            return left is not None
        case "in" | "not in":
            return _contains(right, left) is (op == "in")
    numbers = type(left) in (int, float) and type(right) in (int, float)
    if not numbers and not (type(left) is type(right) is str):
        raise Failure(TYPE)
    match op:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _contains(whole: Any, part: Any) -> bool:
    if type(whole) is dict:
        return _key(part) in whole
    if type(whole) is list or (type(whole) is str and type(part) is str):
        return part in whole
    raise Failure(TYPE)


def _written(value: Any) -> str:
    if value is None:
        raise Failure(MISSING)
    if type(value) is str:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise Failure(TYPE)
    return value


def _len(value: Any) -> int:
    if type(value) not in (str, list, dict):
        raise Failure(TYPE)
    return len(value)


def _sum(value: Any) -> Any:
    numbers = [_number(item) for item in _list(value)]
    return math.fsum(numbers) if float in map(type, numbers) else sum(numbers)


def _sorted(value: Any) -> list[Any]:
    items = list(value) if type(value) is dict else _list(value)
    for before, after in itertools.pairwise(
        [*items[:1], *items]
    ):  # the first with itself: it must have an order
        _holds("<", before, after)
    return sorted(items)


def _matrix(lists: Any) -> list[dict[str, Any]]:
    rows = itertools.product(*map(_list, lists.values()))
    return [dict(zip(lists, row, strict=True)) for row in rows]


_FUNCTIONS: dict[str, Any] = {
    "matrix": _matrix,
    "len": _len,
    "sum": _sum,
    "sorted": _sorted,
    "str": lambda value: "null" if value is None else _written(value),
    "reversed": lambda value: value[::-1] if type(value) is str else _list(value)[::-1],
}
