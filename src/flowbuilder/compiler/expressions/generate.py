"""From an expression to Python: the code generator.

What it makes is a tree of Python's `ast`, so no author's text is ever read
as Python.  There is no attribute of a user's value in it, no name that an
author chose, and no built-in function: only subscripts, displays,
comprehensions, and calls of `HELPERS`.  `a.b` is `a['b']`, since values are
of exact built-in types, whose subscripts reach nothing else.

What goes wrong is raised raw; the function around an expression hands it to
`explain`, which finds the part at fault.
"""

from __future__ import annotations

import ast
import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Choice,
    Compare,
    Const,
    Dict,
    DictComp,
    Expr,
    For,
    Index,
    List,
    ListComp,
    Logic,
    Member,
    Name,
    Negate,
    Not,
    Slice,
    Text,
)
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.core.functions import dates, lists, operators, support, table, writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Names(Protocol):
    """Says where the value of a name lies: what the code generator asks of who knows the scopes."""

    def resolve(self, expr: Name | Member | Index) -> ast.expr | None:
        """Return what loads a chain whose root is a name of the flow; None to try a shorter one."""
        ...

    def context(self) -> ast.expr:
        """Return what loads an object with `moment`, `timezone`, `place` and `occurrence`."""
        ...


def _condition(value: Any) -> bool:
    if type(value) is str:
        support.wrong_type("a condition is a boolean, not a text: `'false'` would hold")
    return bool(value)


_OPERATORS: Final = {
    "+": "_add",
    "-": "_subtract",
    "*": "_multiply",
    "/": "_divide",
    "//": "_floor_divide",
    "%": "_modulo",
    "**": "_power",
}
_COMPARISONS: Final = {"<": "_less", "<=": "_less_equal", ">": "_greater", ">=": "_greater_equal"}
_FREE: Final = 16
"""So many additions and comparisons of texts outside of loops are not counted: to count costs more."""
_LIGHT: Final = 24
"""Parts of an expression that are evaluated in about one step."""
_UNKNOWN: Final = frozenset({ast.Name, ast.Subscript, ast.Call, ast.Attribute})
"""What Python cannot know the value of."""
_LAZY: Final = frozenset({"any", "all", "first"})
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

HELPERS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "_add": operators.add,
        "_add_charged": operators.add_charged,
        "_subtract": operators.subtract,
        "_multiply": operators.multiply,
        "_divide": operators.divide,
        "_floor_divide": operators.floor_divide,
        "_modulo": operators.modulo,
        "_power": operators.power,
        "_negate": operators.negate,
        "_equal": operators.equal,
        "_less": operators.less,
        "_less_equal": operators.less_equal,
        "_greater": operators.greater,
        "_greater_equal": operators.greater_equal,
        "_less_charged": operators.less_charged,
        "_less_equal_charged": operators.less_equal_charged,
        "_greater_charged": operators.greater_charged,
        "_greater_equal_charged": operators.greater_equal_charged,
        "_contains": operators.contains,
        "_chained": operators.chained,
        "_index": operators.index,
        "_cut": operators.cut,
        "_each": operators.each,
        "_each_of": operators.each_of,
        "_default": operators.default,
        "_exists": operators.exists,
        "_key": support.key_text,
        "_joined": writing.joined,
        "_first_of": lists.first_of,
        "_any": any,
        "_all": all,
        "_now": dates.now,
        "_today": dates.today,
        "_uuid": table.uuid,
        "_condition": _condition,
        **{f"_f_{name}": function.call for name, function in table.FUNCTIONS.items() if not function.special},
    }
)
"""All that generated code can reach besides its scope."""

BUDGET: Final = "_b"


class Generator:
    """Makes Python of expressions that share a function.

    Args:
        names: where the flow's names lie.
        steps: how many steps one evaluation may take.
    """

    def __init__(self, names: Names, steps: int = support.STEPS) -> None:
        self._names = names
        self._steps = steps
        self._bound: dict[str, str] = {}
        self._shadowed: list[dict[str, str | None]] = []
        """For each comprehension around, what its names meant outside."""
        self._locals = itertools.count()
        self._needs_budget = False
        self._free = _FREE

    def budget(self) -> list[ast.stmt]:
        """Return what a function must begin with for the expressions that were made so far."""
        if not self._needs_budget:
            return []
        made = ast.List([ast.Constant(self._steps)], ast.Load())
        return [ast.Assign([ast.Name(BUDGET, ast.Store())], made)]

    def function(
        self, expr: Expr, name: str, *, condition: bool = False, explain: str = ""
    ) -> ast.FunctionDef:
        """Return the definition of a function of the scope `s` that evaluates an expression.

        Args:
            expr: the expression.
            name: of the function.
            condition: it is asked whether it holds, so that it may be no text.
            explain: the global that turns what an evaluation raised into an
                `ExpressionError`; none to let it out as it is.
        """
        value = self.condition(expr) if condition else self.expression(expr)
        body: list[ast.stmt] = [*self.budget(), ast.Return(value)]
        if explain:
            error = ast.Name("e", ast.Load())
            told = ast.Call(ast.Name(explain, ast.Load()), [ast.Name("s", ast.Load()), error], [])
            handler = ast.ExceptHandler(
                ast.Name("_Exception", ast.Load()), "e", [ast.Raise(told, ast.Constant(None))]
            )
            body = [ast.Try(body, [handler], [], [])]
        arguments = ast.arguments([], [ast.arg("s")], None, [], [], None, [])
        return ast.FunctionDef(name=name, args=arguments, body=body, decorator_list=[])

    def condition(self, expr: Expr) -> ast.expr:
        """Return what evaluates a condition: its truth, and never a text."""
        if type(expr) in (Compare, Not) or (type(expr) is Const and type(expr.value) is bool):
            return self.expression(expr)
        return _call("_condition", self.expression(expr))

    def expression(self, expr: Expr) -> ast.expr:
        """Return what evaluates an expression."""
        match expr:
            case Const(value=value):
                return constant(value)
            case Name() | Member() | Index():
                return self._chain(expr)
            case Slice(of=of, start=start, stop=stop, step=step):
                parts = [
                    constant(None) if part is None else self.expression(part) for part in (start, stop, step)
                ]
                return _call("_cut", self._steps_left(), self.expression(of), *parts)
            case List(items=items):
                return ast.List([self.expression(item) for item in items], ast.Load())
            case Dict(items=items):
                keys: list[ast.expr | None] = [self._key(key) for key, _ in items]
                return ast.Dict(keys, [self.expression(value) for _, value in items])
            case ListComp(value=value, loops=loops):
                with_names = self._loops(loops, value)
                made = ast.ListComp(self.expression(value), with_names)
                self._unbind()
                return made
            case DictComp(key=key, value=value, loops=loops):
                with_names = self._loops(loops, key, value)
                made_dict = ast.DictComp(self._key(key), self.expression(value), with_names)
                self._unbind()
                return made_dict
            case Call():
                return self._function_call(expr)
            case Negate(of=of):
                return _call("_negate", self.expression(of))
            case Binary(op="+", left=left, right=right) if not _is_number(left, right) and self.is_charged():
                return _call(
                    "_add_charged", self._steps_left(), self.expression(left), self.expression(right)
                )
            case Binary(op=op, left=left, right=right):
                return _call(_OPERATORS[op], self.expression(left), self.expression(right))
            case Compare():
                return self._compare(expr)
            case Not(of=of):
                return ast.UnaryOp(ast.Not(), self.expression(of))
            case Logic(op=op, operands=operands):
                return ast.BoolOp(
                    ast.And() if op == "and" else ast.Or(), [self.expression(part) for part in operands]
                )
            case Choice(condition=condition, then=then, otherwise=otherwise):
                return ast.IfExp(
                    self.expression(condition), self.expression(then), self.expression(otherwise)
                )
            case Text(parts=parts):
                return _call("_joined", *[self.expression(part) for part in parts])
        raise AssertionError(f"no expression: {expr!r}")

    # -- names and members -----------------------------------------------------------

    def _chain(self, expr: Name | Member | Index) -> ast.expr:
        root: Expr = expr
        while isinstance(root, Member | Index):
            root = root.of
        if isinstance(root, Name) and root.id not in self._bound:
            found = self._names.resolve(expr)
            if found is not None:
                return found
        match expr:
            case Name(id=id):
                if id not in self._bound:
                    raise AssertionError(f"the checks let the name '{id}' through")
                return ast.Name(self._bound[id], ast.Load())
            case Member(of=of, name=name):
                return _member(self.expression(of), name)
            case Index(of=of, index=index):
                if type(index) is Const and type(index.value) is str:
                    return _member(self.expression(of), index.value)
                return _call("_index", self.expression(of), self.expression(index))

    def _key(self, key: Expr) -> ast.expr:
        if type(key) is Const and type(key.value) is str:
            return ast.Constant(key.value)
        return _call("_key", self.expression(key))

    # -- comprehensions ----------------------------------------------------------------

    def _loops(self, loops: Sequence[For], *values: Expr) -> list[ast.comprehension]:
        """Return the loops of a comprehension of `values`; their names stay bound until `_unbind`."""
        made: list[ast.comprehension] = []
        steps = weight(*values, *(condition for loop in loops for condition in loop.conditions))
        heavy = [ast.Constant(steps)] if steps > 1 else []
        self._shadowed.append({})
        for loop in loops:
            over = self.expression(loop.over)
            if len(loop.names) == 1:
                iterable = _call("_each", self._steps_left(), over, *heavy)
            else:
                count = ast.Constant(len(loop.names))
                iterable = _call("_each_of", self._steps_left(), over, count, *heavy)
            targets: list[ast.expr] = [ast.Name(self._bind(name), ast.Store()) for name in loop.names]
            target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())
            conditions = [self.expression(condition) for condition in loop.conditions]
            made.append(ast.comprehension(target, iterable, conditions, 0))
        return made

    def _bind(self, name: str) -> str:
        self._shadowed[-1].setdefault(name, self._bound.get(name))
        local = f"v{next(self._locals)}"
        self._bound[name] = local
        return local

    def _unbind(self) -> None:
        for name, before in self._shadowed.pop().items():
            if before is None:
                del self._bound[name]
            else:
                self._bound[name] = before

    def _steps_left(self) -> ast.expr:
        self._needs_budget = True
        return ast.Name(BUDGET, ast.Load())

    def is_charged(self) -> bool:
        """Tell whether `+` or `<` pays for texts and lists: inside of loops, and where there are many.

        Outside the texts are few, and what they cost is bounded anyway.
        """
        if self._shadowed:
            return True
        self._free -= 1
        return self._free < 0

    # -- comparisons -------------------------------------------------------------------

    def _compare(self, expr: Compare) -> ast.expr:
        if len(expr.rest) == 1:
            op, right = expr.rest[0]
            return self._compare_two(op, expr.first, right)
        parts: list[ast.expr] = [self._steps_left(), self.expression(expr.first)]
        for op, operand in expr.rest:
            parts += [ast.Constant(op), _later(self.expression(operand))]
        return _call("_chained", *parts)

    def _compare_two(self, op: str, left: Expr, right: Expr) -> ast.expr:
        sign: ast.cmpop
        match op:
            case "is null" | "is not null":
                if type(left) is Const:  # Python warns of a literal there
                    return ast.Constant((left.value is None) is (op == "is null"))
                sign = ast.Is() if op == "is null" else ast.IsNot()
                return ast.Compare(self.expression(left), [sign], [ast.Constant(None)])
            case "==" | "!=":
                if _is_scalar(left) or _is_scalar(right):
                    sign = ast.Eq() if op == "==" else ast.NotEq()
                    return ast.Compare(self.expression(left), [sign], [self.expression(right)])
                equal = _call("_equal", self._steps_left(), self.expression(left), self.expression(right))
                return equal if op == "==" else ast.UnaryOp(ast.Not(), equal)
            case "in" | "not in":
                found = _call("_contains", self._steps_left(), self.expression(left), self.expression(right))
                return found if op == "in" else ast.UnaryOp(ast.Not(), found)
            case _:
                pair = self.expression(left), self.expression(right)
                if not _is_number(left, right) and self.is_charged():
                    return _call(f"{_COMPARISONS[op]}_charged", self._steps_left(), *pair)
                return _call(_COMPARISONS[op], *pair)

    # -- functions -----------------------------------------------------------------------

    def _function_call(self, expr: Call) -> ast.expr:
        name = expr.function
        function = table.FUNCTIONS[name]
        if function.special:
            return self._special(expr)
        if name in _LAZY and expr.args and type(expr.args[0]) is ListComp:
            return self._lazy(expr, expr.args[0])
        args = [self.expression(arg) for arg in expr.args]
        if function.budget:
            args.insert(0, self._steps_left())
        named = [ast.keyword(key, self.expression(value)) for key, value in expr.named]
        return ast.Call(ast.Name(f"_f_{name}", ast.Load()), args, named)

    def _lazy(self, expr: Call, over: ListComp) -> ast.expr:
        """Return a call that looks no further than it must."""
        loops = self._loops(over.loops, over.value)
        generator = ast.GeneratorExp(self.expression(over.value), loops)
        self._unbind()
        if expr.function != "first":
            return _call(f"_{expr.function}", generator)
        rest = [self.expression(arg) for arg in expr.args[1:]]
        named = [ast.keyword(key, self.expression(value)) for key, value in expr.named]
        return ast.Call(ast.Name("_first_of", ast.Load()), [generator, *rest], named)

    def _special(self, expr: Call) -> ast.expr:
        match expr.function:
            case "default":
                root, steps = self._path(expr.args[0])
                otherwise = expr.args[1] if len(expr.args) > 1 else expr.named[0][1]
                return _call("_default", root, steps, _later(self.expression(otherwise)))
            case "exists":
                root, steps = self._path(expr.args[0])
                return _call("_exists", root, steps)
            case "uuid":
                place = ast.Constant(f"{expr.at.start}:{expr.at.end}")
                return _call("_uuid", self._names.context(), place)
            case name:
                args = [self.expression(arg) for arg in expr.args]
                args += [self.expression(value) for _, value in expr.named]
                return _call(f"_{name}", self._names.context(), *args)

    def _path(self, expr: Expr) -> tuple[ast.expr, ast.expr]:
        """Return the longest part of a path that is always there, and the steps behind it."""
        steps: list[ast.expr] = []
        node = expr
        while True:
            root: Expr = node
            while isinstance(root, Member | Index):
                root = root.of
            if isinstance(node, Member | Index):
                if isinstance(root, Name) and root.id not in self._bound:
                    found = self._names.resolve(node)
                    if found is not None:
                        return found, ast.Tuple(steps[::-1], ast.Load())
                steps.append(
                    ast.Constant(node.name) if isinstance(node, Member) else self.expression(node.index)
                )
                node = node.of
            elif isinstance(node, Call) and node.function == "get" and len(node.args) == 2 and not node.named:
                steps.append(self.expression(node.args[1]))
                node = node.args[0]
            else:
                return self.expression(node), ast.Tuple(steps[::-1], ast.Load())


def constant(value: Any) -> ast.expr:
    """Return what makes a value that is known, anew each time."""
    if type(value) is list:
        return ast.List([constant(item) for item in value], ast.Load())
    if type(value) is dict:
        keys: list[ast.expr | None] = [ast.Constant(key) for key in value]
        return ast.Dict(keys, [constant(item) for item in value.values()])
    return ast.Constant(value)


def _member(of: ast.expr, name: str) -> ast.expr:
    """Return what takes a mapping's member.

    What Python itself might know to be no mapping, of which it would warn, is asked by a helper.
    """
    if type(of) in _UNKNOWN:
        return ast.Subscript(of, ast.Constant(name), ast.Load())
    return _call("_index", of, ast.Constant(name))


def weight(*parts: Expr) -> int:
    """Return how many steps it counts for to evaluate these parts once: more than one where they are large."""
    stack = [*parts]
    size = 0
    while stack:
        node = stack.pop()
        size += 1 if type(node) is not Const else _elements(node.value)
        stack += children(node)
    return 1 + size // _LIGHT


def _elements(value: Any) -> int:
    if type(value) is list:
        return 1 + sum(map(_elements, value))
    return 1 + sum(map(_elements, value.values())) if type(value) is dict else 1


def _is_number(*operands: Expr) -> bool:
    """Tell whether one of two operands is known to be a number, so that the other must be."""
    return any(type(operand) is Const and type(operand.value) in (int, float) for operand in operands)


def _is_scalar(expr: Expr) -> bool:
    return type(expr) is Const and type(expr.value) in _SCALARS


def _call(helper: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(helper, ast.Load()), list(args), [])


def _later(value: ast.expr) -> ast.expr:
    """Return a function that evaluates an expression when it is asked to."""
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), value)


GLOBALS: Final[Mapping[str, Any]] = MappingProxyType({**HELPERS, "_Exception": Exception, "__builtins__": {}})
"""What a module of generated code begins with."""
