"""Evaluates at compile time what does not depend on a run.

Only expressions are evaluated, never code of a user, and with few steps: what
takes longer stays as it is.  An expression that must fail stays too, to fail
when a run comes to it, and is warned about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from flowbuilder.compiler.depth import is_deep
from flowbuilder.compiler.expressions.constants import evaluate_constant
from flowbuilder.compiler.expressions.references import MOMENTARY
from flowbuilder.compiler.expressions.tree import Call, Choice, Const, Expr, Logic, Member, Name, Text
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.compiler.passes.closed import Closed, parts_with_own
from flowbuilder.compiler.passes.fields import with_expressions
from flowbuilder.compiler.passes.graphs import rewrite_tasks
from flowbuilder.compiler.passes.notes import MUST_FAIL, Note, Rewritten
from flowbuilder.compiler.passes.trees import HIDDEN, HIDING, parts_with_certainty, rebuilt
from flowbuilder.compiler.written import value_text, written
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.ir import Flow, Task

STEPS: Final = 1_000
"""Steps for one expression."""
EACH: Final = 100
"""Steps that an evaluation counts for: to make it ready takes longer than most evaluations."""
FLOW_STEPS: Final = 100_000
"""Steps for all of a flow: a file with many loops must not keep the compiler busy.  A flow that
uses them up may be folded further by a second go."""
MAX_SIZE: Final = 1_000
"""Characters of a result; a larger one is evaluated in each run rather than kept in the code."""
_NONE: Final[frozenset[str]] = frozenset()
_SCALARS: Final = (str, int, float, bool, type(None))


def fold_constants(flow: Flow) -> Rewritten:
    """Replace constant sub-expressions by their values, and drop branches that are never taken."""
    folder = _Folder(flow)
    variables = tuple([folder.variable(var.name) for var in flow.vars])
    changed = [
        replace(var, value=new) if new is not var.value else var
        for var, new in zip(flow.vars, variables, strict=True)
    ]

    def each(task: Task, path: str) -> Task:
        folder.path = path
        return with_expressions(task, folder.fold)

    flow = rewrite_tasks(flow, each)
    folder.path = ""
    outputs = flow.outputs and folder.fold(flow.outputs)
    if outputs is not flow.outputs:
        flow = replace(flow, outputs=outputs)
    if any(new is not old for new, old in zip(changed, flow.vars, strict=True)):
        flow = replace(flow, vars=tuple(changed))
    return Rewritten(flow, tuple(folder.notes))


class _Folder:
    """Folds the expressions of one flow."""

    def __init__(self, flow: Flow) -> None:
        self.notes: list[Note] = []
        self.path = ""
        """The task whose expressions are being folded."""
        self._env: Mapping[str, str] = flow.env
        self._vars = {var.name: var.value for var in flow.vars}
        self._folded: dict[str, Expr] = {}
        """Variables that have been folded; those being folded stand for themselves."""
        self._steps = FLOW_STEPS
        self._left: dict[int, Expr] = {}
        """By identity, what was tried already."""
        self._values: dict[Expr, Const] = {}
        self._put_in: dict[str, None] = {}
        """Names that were replaced by their values in the expression at hand."""
        self._left_out = False
        """Something was left out of the expression at hand."""

    def variable(self, name: str) -> Expr:
        """Return a variable's value, folded."""
        if name not in self._folded:
            value = self._vars[name]
            self._folded[name] = value
            self._folded[name] = self.fold(value)
        return self._folded[name]

    def fold(self, expr: Expr) -> Expr:
        """Return an expression with its constant parts replaced; itself if it has none."""
        if type(expr) is Const or not self._is_worth_it(expr):
            return expr
        self._put_in.clear()
        self._left_out = False
        better, free = self._visit(expr, _NONE)
        better = self._settled(better, free)
        if self._put_in:
            self._say(f"put in the values of {', '.join(self._put_in)}")
        if self._left_out:
            self._say("left out what is never evaluated")
        return better

    def _is_worth_it(self, expr: Expr) -> bool:
        """Tell quickly whether anything in an expression may be constant; most have nothing."""
        stack = [expr]
        while stack:
            node = stack.pop()
            kind = type(node)
            if kind is Const or kind is Name:
                continue
            if type(node) is Member and type(node.of) is Name:
                if node.of.id in ("vars", "env") and self._known(node) is not None:
                    return not is_deep(expr)
                continue
            inner = children(node)
            constants = 0
            for part in inner:
                if type(part) is Const:
                    constants += 1
            if constants == len(inner) or (constants and (kind is Logic or kind is Choice)):
                return not is_deep(expr)
            stack += inner
        return False

    # -- going through an expression -------------------------------------------------

    def _visit(self, expr: Expr, bound: frozenset[str]) -> tuple[Expr, frozenset[str] | None]:
        """Fold what is inside of an expression.

        What is constant as a whole is left to whoever called, since it may be
        part of something larger that is; so is what depends on loops around
        it only.

        Returns:
            The expression, and the names of loops around it that it mentions;
            None where it depends on the run.
        """
        if type(expr) is Const:
            return expr, _NONE
        if type(expr) is Name:
            return expr, frozenset({expr.id}) if expr.id in bound else None
        if type(expr) is Member and type(expr.of) is Name and expr.of.id not in bound:
            known = self._known(expr)
            if known is None:
                return expr, None
            self._put_in[f"{expr.of.id}.{expr.name}"] = None
            return known, _NONE
        new: list[Expr] = []
        frees: list[frozenset[str] | None] = []
        free: frozenset[str] | None = _NONE
        for part, own in parts_with_own(expr):
            made, inner = self._visit_part(expr, part, bound | own, first=not new)
            new.append(made)
            frees.append(inner)
            free = None if free is None or inner is None else free | (inner - own)
        if type(expr) is Call and expr.function in MOMENTARY:
            free = None
        if free is not None:
            return rebuilt(expr, new), free
        return self._put_together(expr, new, frees, bound)

    def _visit_part(
        self, whole: Expr, part: Expr, bound: frozenset[str], *, first: bool
    ) -> tuple[Expr, frozenset[str] | None]:
        if first and type(whole) is Call and whole.function in HIDING and self._known(part) is None:
            # a path under `default` is left as it is: which of its steps is missing matters there
            return part, Closed(part, bound).free(part)
        return self._visit(part, bound)

    def _put_together(
        self, expr: Expr, new: list[Expr], frees: list[frozenset[str] | None], bound: frozenset[str]
    ) -> tuple[Expr, frozenset[str] | None]:
        """Make an expression that depends on the run of its parts; those that are constant are evaluated now."""
        hides = type(expr) is Call and expr.function in HIDING
        settled = [
            part if hides and not place else self._settled(part, frees[place])
            for place, part in enumerate(new)
        ]
        made = rebuilt(expr, settled)
        simple = self._simplified(made)
        return (made, None) if simple is made else self._visit(simple, bound)

    def _settled(self, expr: Expr, free: frozenset[str] | None) -> Expr:
        """Evaluate what is constant in an expression that depends on nothing but loops around it."""
        if free is None or type(expr) is Const:
            return expr
        while True:
            # what is left out may leave something constant around it
            folded = self._fold(expr, Closed(expr))
            if folded is expr:
                return expr
            expr = folded

    # -- names whose values are known ----------------------------------------------

    def _known(self, expr: Expr) -> Const | None:
        """Return the value of `vars.x` or `env.x` if it is a scalar that is known."""
        if type(expr) is not Member or type(expr.of) is not Name:
            return None
        if expr.of.id == "env" and expr.name in self._env:
            return Const(expr.at, self._env[expr.name])
        if expr.of.id == "vars" and expr.name in self._vars:
            value = self.variable(expr.name)
            if type(value) is Const and type(value.value) in _SCALARS:
                return Const(expr.at, value.value)
        return None

    # -- evaluating --------------------------------------------------------------

    def _fold(self, expr: Expr, closed: Closed) -> Expr:
        """Evaluate an expression if it is constant, else fold what is inside of it."""
        if type(expr) is Const:
            return expr
        if closed.free(expr) == _NONE:
            return self._evaluated(expr)
        new = [
            part if when == HIDDEN else self._fold(part, closed) for part, when in parts_with_certainty(expr)
        ]
        return self._simplified(rebuilt(expr, new))

    def _evaluated(self, expr: Expr) -> Expr:
        """Return the value of a constant expression, or the expression if that cannot be had."""
        if id(expr) in self._left or self._steps < STEPS:
            return expr
        self._left[id(expr)] = expr
        if (known := self._values.get(expr)) is not None:
            return Const(expr.at, known.value)
        self._steps -= EACH
        try:
            value = evaluate_constant(expr, STEPS)
        except ExpressionError as error:
            if error.kind == "expression.limit":
                self._steps -= STEPS - EACH
            else:
                self._warn(expr, error)
            return expr
        text = value_text(value)
        if len(text) > MAX_SIZE or not _is_plain(value):
            return expr
        if type(expr) is not Text and (before := written(expr, 60)) != text:
            self._say(f"folded {before} to {text if len(text) <= 60 else text[:59] + '…'}")
        self._values[expr] = Const(expr.at, value)
        return self._values[expr]

    def _simplified(self, expr: Expr) -> Expr:
        """Leave out what is never evaluated, or changes nothing, now that some parts are constant."""
        match expr:
            case Choice(condition=Const(value=value)):
                self._left_out = True
                return expr.then if value else expr.otherwise
            case Logic():
                simple = _logic(expr)
                self._left_out |= simple is not expr
                return simple
            case Call(function="default", args=(Const(value=value), otherwise)):
                return otherwise if value is None else expr.args[0]
            case Text():
                return self._text(expr)
        return expr

    def _text(self, expr: Text) -> Expr:
        """Write out constants in a text, and join neighbours."""
        merged: list[Expr] = []
        for part in expr.parts:
            if type(part) is Const and type(part.value) is not str:
                part = self._evaluated(Text(part.at, (part,)))
            if type(part) is Const and merged and type(merged[-1]) is Const:
                part = Const(merged[-1].at, merged[-1].value + part.value)  # type: ignore[operator]
                merged.pop()
            merged.append(part)
        return rebuilt(expr, merged) if len(merged) == len(expr.parts) else Text(expr.at, tuple(merged))

    # -- what is said of it ----------------------------------------------------------

    def _say(self, what: str) -> None:
        self.notes.append(Note("fold_constants", what, self.path))

    def _warn(self, expr: Expr, error: ExpressionError) -> None:
        at = expr.at.span
        why = error.message.removeprefix(f"{expr.at.authors}: ")
        what = f"this expression fails whenever it is evaluated: {why}"
        warning = Diagnostic(MUST_FAIL, what, at, severity="warning")
        self.notes.append(
            Note("fold_constants", f"left {written(expr, 60)}: it must fail", self.path, warning)
        )


def _logic(expr: Logic) -> Expr:
    """Drop operands that never decide, and those behind one that always does."""
    decides = expr.op == "or"
    kept: list[Expr] = []
    last = len(expr.operands) - 1
    for place, operand in enumerate(expr.operands):
        if type(operand) is Const:
            if bool(operand.value) is decides:
                kept.append(operand)
                break
            if place < last:
                continue
        kept.append(operand)
    if len(kept) == 1:
        return kept[0]
    return expr if len(kept) == len(expr.operands) else Logic(expr.at, expr.op, tuple(kept))


def _is_plain(value: object) -> bool:
    """Tell whether a value may stand in a `Const`: what JSON can say."""
    if type(value) is list:
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return type(value) in _SCALARS
