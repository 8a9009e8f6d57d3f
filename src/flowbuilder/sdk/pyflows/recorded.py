"""Stand-ins for values that are known only when the flow runs.

What is done with one is recorded as an expression of the language.  What
Python insists on knowing at once (truth, length, iteration, text) cannot be
recorded, and says what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, NoReturn

from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Compare,
    Const,
    Expr,
    Index,
    Logic,
    Member,
    Negate,
    Not,
    Slice,
)
from flowbuilder.sdk.pyflows.places import Place, here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorder import note
from flowbuilder.sdk.pyflows.trees import (
    AT,
    NotAValue,
    key_of,
    list_of,
    mapping_of,
    member,
    moment,
    scalar,
    simpler,
)

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.recorder import TaskRecord


class Recorded:
    """A value of a run that is still to come.

    Members (`order.total`), indexes, slices, arithmetic, comparisons and the
    language's methods (`name.upper()`) give further ones; `&`, `|` and `~`
    stand for `and`, `or` and `not`.
    """

    __slots__ = ("_place", "_task", "_tree")
    _tree: Expr
    _place: Place
    _task: TaskRecord | None

    def __init__(self, tree: Expr, place: Place, task: TaskRecord | None = None) -> None:
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_task", task)

    # what gives further expressions

    def __getattr__(self, key: str) -> Recorded:
        if key.startswith("_"):
            raise AttributeError(
                f"a recorded value has no '{key}'; for a member of this name write x['{key}']"
            )
        return _made(member(self._tree, key))

    def __getitem__(self, key: Any) -> Recorded:
        if isinstance(key, slice):
            parts = (None if part is None else tree_of(part) for part in (key.start, key.stop, key.step))
            return _made(Slice(AT, self._tree, *parts))
        if isinstance(key, str):
            return _made(member(self._tree, key))
        return _made(Index(AT, self._tree, tree_of(key)))

    def __call__(self, *args: Any, **named: Any) -> Recorded:
        """Record the call of a method of the language."""
        if not isinstance(self._tree, Member):
            raise wrong("FB291", "a value of a run cannot be called", here(), "call a @task function with it")
        return _made(_method(self._tree.of, self._tree.name, args, named))

    def __await__(self) -> Generator[None, None, Recorded]:
        return self
        yield

    def __rshift__(self, other: Any) -> Any:
        """Let `other` begin when this task has ended: `a >> b`."""
        if self._task is None or not isinstance(other, Recorded) or other._task is None:
            raise wrong("FB291", "'>>' stands between two tasks", here(), "write `b` with `needs=[a]`")
        other._task.needs.append(self._task)
        return other

    def __neg__(self) -> Recorded:
        return _made(Negate(AT, self._tree))

    def __pos__(self) -> Recorded:
        return self

    def __invert__(self) -> Recorded:
        return _made(Not(AT, self._tree))

    def __and__(self, other: Any) -> Recorded:
        return _logic("and", self, other)

    def __rand__(self, other: Any) -> Recorded:
        return _logic("and", other, self)

    def __or__(self, other: Any) -> Recorded:
        return _logic("or", self, other)

    def __ror__(self, other: Any) -> Recorded:
        return _logic("or", other, self)

    def __eq__(self, other: object) -> Any:
        return _compare("==", self, other)

    def __ne__(self, other: object) -> Any:
        return _compare("!=", self, other)

    def __lt__(self, other: Any) -> Recorded:
        return _compare("<", self, other)

    def __le__(self, other: Any) -> Recorded:
        return _compare("<=", self, other)

    def __gt__(self, other: Any) -> Recorded:
        return _compare(">", self, other)

    def __ge__(self, other: Any) -> Recorded:
        return _compare(">=", self, other)

    __hash__ = object.__hash__

    def __abs__(self) -> Recorded:
        return _made(Call(AT, "abs", (self._tree,)))

    def __round__(self, digits: int | None = None) -> Recorded:
        rest = () if digits is None else (tree_of(digits),)
        return _made(Call(AT, "round", (self._tree, *rest)))

    def __floor__(self) -> Recorded:
        return _made(Call(AT, "floor", (self._tree,)))

    def __ceil__(self) -> Recorded:
        return _made(Call(AT, "ceil", (self._tree,)))

    # what cannot be recorded

    def __bool__(self) -> NoReturn:
        raise _cannot(
            "is true or false only when the flow runs",
            "instead of `if`: `with when(x > 0): …`, the option `if_=`, or `when(x > 0, then, otherwise)`",
            "instead of `and`, `or`, `not`, `a < b < c`: `(a) & (b)`, `(a) | (b)`, `~(a)`",
        )

    def __iter__(self) -> NoReturn:
        raise _cannot(
            "has its elements only when the flow runs",
            "instead of a loop or a comprehension: `map(function, values)`, "
            "or `map(lambda value: …, values)`",
            "parts of it: `values[0]`, `values[:10]`",
        )

    def __contains__(self, _: Any) -> NoReturn:
        raise _cannot(
            "cannot be asked with `in`, which Python answers at once",
            "write `values.contains(x)`, or `x.is_in(values)`",
        )

    def __len__(self) -> NoReturn:
        raise _cannot(
            "has its length only when the flow runs",
            "write `len(x)` with `from flowbuilder.lang import len`",
        )

    def __str__(self) -> NoReturn:
        raise _no_text()

    def __format__(self, _: str) -> NoReturn:
        raise _no_text()

    def __int__(self) -> NoReturn:
        raise _no_number()

    def __float__(self) -> NoReturn:
        raise _no_number()

    def __index__(self) -> NoReturn:
        raise _no_number()

    def __setattr__(self, key: str, _: Any) -> NoReturn:
        raise _no_change()

    def __setitem__(self, key: Any, _: Any) -> NoReturn:
        raise _no_change()

    def __delitem__(self, key: Any) -> NoReturn:
        raise _no_change()

    def __repr__(self) -> str:
        from flowbuilder.sdk.pyflows.written import shown  # only people ask

        return f"<recorded {shown(self._tree)}>"


def _arithmetic(op: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Recorded, other: Any) -> Recorded:
        return _made(Binary(AT, op, self._tree, tree_of(other)))  # type: ignore[arg-type]

    def backward(self: Recorded, other: Any) -> Recorded:
        return _made(Binary(AT, op, tree_of(other), self._tree))  # type: ignore[arg-type]

    return forward, backward


for _op, _name in {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "truediv",
    "//": "floordiv",
    "%": "mod",
    "**": "pow",
}.items():
    _forward, _backward = _arithmetic(_op)
    setattr(Recorded, f"__{_name}__", _forward)
    setattr(Recorded, f"__r{_name}__", _backward)


def tree_of(value: Any, place: Place | None = None) -> Expr:
    """Return a Python value, with recorded ones anywhere in it, as an expression.

    What is no value of a flow is a finding.
    """
    try:
        return _tree(value, 0)
    except NotAValue as error:
        note(wrong("FB290", f"a flow cannot hold {error.what}", place or here(), error.hint))
        return Const(AT, None)


MOST: Final = 64
"""How deep a value may be."""


def _tree(value: Any, depth: int) -> Expr:
    if isinstance(value, Recorded):
        return value._tree
    if (plain := scalar(value)) is not ...:
        return Const(AT, plain)
    if (made := moment(value)) is not None:
        return made
    if depth > MOST:
        raise NotAValue(f"a value that is more than {MOST} deep")
    if isinstance(value, list | tuple):
        items = [_tree(item, depth + 1) for item in value]
        if all(isinstance(item, Const) for item in items):
            return Const(AT, [item.value for item in items])  # type: ignore[union-attr]
        return list_of(items)
    if isinstance(value, dict):
        pairs = {key_of(key): _tree(item, depth + 1) for key, item in value.items()}
        if all(isinstance(item, Const) for item in pairs.values()):
            return Const(AT, {key: item.value for key, item in pairs.items()})  # type: ignore[union-attr]
        return mapping_of(pairs)
    return _tree(simpler(value), depth + 1)


def _made(tree: Expr) -> Recorded:
    return Recorded(tree, here())


def _logic(op: Any, left: Any, right: Any) -> Recorded:
    operands: list[Expr] = []
    for side in (tree_of(left), tree_of(right)):
        operands += side.operands if isinstance(side, Logic) and side.op == op else (side,)
    return _made(Logic(AT, op, tuple(operands)))


def _compare(op: Any, left: Any, right: Any) -> Recorded:
    if right is None and op in ("==", "!="):
        return _made(
            Compare(AT, tree_of(left), (("is null" if op == "==" else "is not null", Const(AT, None)),))
        )
    return _made(Compare(AT, tree_of(left), ((op, tree_of(right)),)))


def _method(of: Expr, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Expr:
    """Return what calling `of.name(…)` means."""
    own = _OWN_METHODS.get(name)
    if own is not None:
        if named or len(args) != own[0]:
            raise wrong("FB291", f"'{name}' takes {own[0]} argument(s) by position", here())
        return own[1](of, *(tree_of(arg) for arg in args))
    from flowbuilder.core.functions.table import FUNCTIONS

    function = FUNCTIONS.get(name)
    if function is None or not function.method:
        known = sorted([each.name for each in FUNCTIONS.values() if each.method] + list(_OWN_METHODS))
        hint = _hint(name, function, known)
        note(wrong("FB291", f"a value of a run has no method '{name}'", here(), hint))
        return Const(AT, None)
    pairs = tuple((key, tree_of(value)) for key, value in named.items())
    return Call(AT, name, (of, *(tree_of(arg) for arg in args)), pairs, "method")


def _hint(name: str, function: Any, known: list[str]) -> str:
    import difflib

    if function is not None:
        return f"it is a function: `from flowbuilder.lang import {name}`"
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{close[0]}'?" if close else "call a @task function with it"


_OWN_METHODS: Final[dict[str, tuple[int, Callable[..., Expr]]]] = {
    "contains": (1, lambda of, x: Compare(AT, x, (("in", of),))),
    "is_in": (1, lambda of, values: Compare(AT, of, (("in", values),))),
    "is_null": (0, lambda of: Compare(AT, of, (("is null", Const(AT, None)),))),
    "default": (1, lambda of, otherwise: Call(AT, "default", (of, otherwise), (), "filter")),
    "exists": (0, lambda of: Call(AT, "exists", (of,))),
}
"""Methods that Python has no operator for, by name: how many arguments, and what they mean."""


def _cannot(why: str, *hints: str) -> Exception:
    return wrong("FB291", f"a value of a run {why}", here(), *hints)


def _no_text() -> Exception:
    return _cannot(
        "has its text only when the flow runs",
        "instead of an f-string: `text('hello {name}', name=name)` with `from flowbuilder.lang import text`",
        "or add texts: `'hello ' + name`",
    )


def _no_number() -> Exception:
    return _cannot(
        "is a number only when the flow runs",
        "write `int(x)` with `from flowbuilder.lang import int`, or work in a @task function",
    )


def _no_change() -> Exception:
    return _cannot(
        "cannot be changed",
        "make a new one: `{**x}` is `merge(x, {…})` with `from flowbuilder.lang import merge`",
    )
