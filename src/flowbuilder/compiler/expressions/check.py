"""What is wrong with an expression that can be read: names, functions, arguments, patterns."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.expressions.codes import (
    ARGUMENTS,
    BOUND_NAME,
    COMPUTED_TASK,
    NOT_HERE,
    PATTERN,
    TEXT_CONDITION,
    UNKNOWN_FIELD,
    UNKNOWN_FUNCTION,
    UNKNOWN_NAME,
    WHOLE_SECRETS,
)
from flowbuilder.compiler.expressions.foreign import hint_for
from flowbuilder.compiler.expressions.parse import ROOTS
from flowbuilder.compiler.expressions.references import MOMENTARY, Reference, references
from flowbuilder.compiler.expressions.tree import Call, Const, DictComp, Expr, ListComp, Text
from flowbuilder.compiler.expressions.walk import walk
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.functions.patterns import compiled
from flowbuilder.core.functions.table import FUNCTIONS, METHODS, PARTS

if TYPE_CHECKING:
    from flowbuilder.core.span import Span

TASK_FIELDS: Final = ("output", "status", "error", "errors")
LOOP_FIELDS: Final = ("state", "index")
MOMENTS: Final = frozenset({("trigger", "scheduled_at"), ("run", "started_at")})
"""What is always a datetime, which has no members."""
RUN_FIELDS: Final = ("id", "key", "flow", "started_at", "attempt", "status", "errors", "tasks")
_PATTERN_FUNCTIONS: Final = frozenset({"matches", "find_all", "re_replace", "re_split"})
SEVERAL_OF: Final = frozenset(
    {"any", "all", "first", "sum", "min", "max", "list", "sorted", "unique", "join"}
)

_INSTEAD: Final[Mapping[str, str]] = {
    "format": "write `${{ a }} of ${{ b }}`",
    "format_map": "write `${{ a }} of ${{ b }}`",
    "strftime": "write `format_date(x, '%Y-%m-%d')`",
    "strptime": "write `date(x)` or `datetime(x)`",
    "isoformat": "write `str(x)`: dates are written out as ISO 8601",
    "astimezone": "write `in_zone(x, 'Europe/Berlin')`",
    "append": "nothing changes a value; write `xs + [x]`",
    "extend": "nothing changes a value; write `xs + ys`",
    "insert": "nothing changes a value; write `xs[:i] + [x] + xs[i:]`",
    "pop": "nothing changes a value; write `omit(m, 'key')` or `xs[:-1]`",
    "remove": "nothing changes a value; write `[y for y in xs if y != x]`",
    "sort": "nothing changes a value; write `sorted(xs)`",
    "reverse": "nothing changes a value; write `reversed(xs)`",
    "update": "nothing changes a value; write `merge(a, b)`",
    "setdefault": "nothing changes a value; write `m.get('key', x)`",
    "clear": "nothing changes a value; write `{}`",
    "map": "write `[f(x) for x in xs]`",
    "filter": "write `[x for x in xs if …]`",
    "set": "there are no sets; write `unique(xs)`",
    "tuple": "there are no tuples; write a list",
    "isinstance": "write `type(x) == 'list'`",
    "repr": "write `to_json(x)`",
    "hash": "write `digest(x)`",
    "eval": "no text is ever read as an expression",
    "exec": "no text is ever run",
    "getattr": "write `m['key']`",
    "hasattr": "write `exists(m.key)`",
    "print": "use a task of type `log`",
    "open": "use a `python` or `shell` task",
    "input": "declare it under `inputs`",
    "divmod": "write `[a // b, a % b]`",
    "pow": "write `a ** b`",
    "chr": "write the character: `'\\u00e9'`",
    "length": "write `len(x)`",
    "size": "write `len(x)`",
    "tojson": "write `to_json(x)`",
    "toJSON": "write `to_json(x)`",
    "fromJSON": "write `from_json(x)`",
    "contains": "write `x in xs`",
    "success": "a task runs by default if nothing before it failed; see `run_when`",
    "failure": "write `run_when: any_failed` beside the task",
    "always": "write `run_when: always` beside the task",
    "center": "write `ljust` and `rjust`",
    "encode": "write `base64_encode`, `urlencode` or `html_escape`",
    "casefold": "write `x.lower()`",
    "isdigit": "write `matches(x, '^[0-9]+$')`",
    "find": "write `part in text`, or `text.index(part)`",
    "match": "write `matches(x, 'pattern')`",
    "exclude": "write `omit(m, 'key')`",
    "coalesce": "write `a | default(b)`",
    "isnull": "write `x is null`",
}


@dataclasses.dataclass(frozen=True, slots=True)
class ScopeNames:
    """What means something where an expression stands."""

    names: Collection[str]
    """Names of the flow, and those that `as` added."""
    members: Mapping[str, Collection[str]] = dataclasses.field(default_factory=dict)
    """By name what may follow it (`inputs`, `vars`, `env`, `secrets`, `tasks`); absent: anything may."""
    condition: bool = False
    momentary: bool = True
    """`now()`, `today()` and `uuid()` may be called."""


def check(expr: Expr, scope: ScopeNames) -> list[Diagnostic]:
    """Return what is wrong with an expression, in the order in which it stands."""
    found = [*_names(expr, scope), *_calls(expr, scope), *_bound(expr)]
    if scope.condition and (type(expr) is Text or (type(expr) is Const and type(expr.value) is str)):
        hint = "write it without quotes, or compare: `x == 'a'`"
        what = "a condition is a boolean, not a text: `'false'` would hold"
        found.append(Diagnostic(TEXT_CONDITION, what, expr.at.span, (hint,)))
    found.sort(key=lambda diagnostic: (diagnostic.at.line, diagnostic.at.column))
    return found


def _names(expr: Expr, scope: ScopeNames) -> Iterator[Diagnostic]:
    for reference in references(expr):
        root = reference.root
        if root not in scope.names:
            yield _unknown(reference, scope)
        elif root == "tasks":
            yield from _task(reference, scope)
        elif root == "secrets" and not reference.path:
            what = "the secrets cannot be taken as a whole"
            yield Diagnostic(WHOLE_SECRETS, what, reference.span, ("write `secrets.NAME`",))
        elif root in scope.members and reference.path:
            name = reference.path[0]
            if name not in scope.members[root]:
                if root == "event":
                    yield _no_such_part(reference, scope.members[root])
                    continue
                what = f"there is no '{name[:60]}' among the {root}"
                yield Diagnostic(UNKNOWN_NAME, what, reference.span, _near(name, scope.members[root]))
        elif root == "loop" and reference.path and reference.path[0] not in LOOP_FIELDS:
            what = f"'loop' has no '{reference.path[0]}'"
            hints = _near(reference.path[0], LOOP_FIELDS) or ("it has `loop.state` and `loop.index`",)
            yield Diagnostic(UNKNOWN_FIELD, what, reference.span, hints)
        elif root == "run" and reference.path and reference.path[0] not in RUN_FIELDS:
            what = f"'run' has no '{reference.path[0]}'"
            yield Diagnostic(UNKNOWN_FIELD, what, reference.span, _near(reference.path[0], RUN_FIELDS))
        elif len(reference.path) > 1 and (root, reference.path[0]) in MOMENTS:
            moment, name = f"{root}.{reference.path[0]}", reference.path[1]
            hints = (f"write `{moment} | {name}`",) if name in PARTS else _near(name, PARTS)
            yield Diagnostic(
                UNKNOWN_FIELD, f"'{moment}' is a datetime and has no '{name}'", reference.span, hints
            )


def _no_such_part(reference: Reference, parts: Collection[str]) -> Diagnostic:
    """Say that an event has no such part: mostly the payload's member is meant."""
    name = reference.path[0]
    hints = _near(name, parts) or (f"did you mean `event.payload.{name}`?",)
    return Diagnostic(UNKNOWN_FIELD, f"an event has no '{name}'", reference.span, hints)


def _unknown(reference: Reference, scope: ScopeNames) -> Diagnostic:
    name = reference.root
    if name in ROOTS:
        return Diagnostic(NOT_HERE, f"'{name}' means nothing here", reference.span, _where(name))
    foreign = hint_for(reference)
    hints = (foreign,) if foreign else _near(name, scope.names)
    for root, members in scope.members.items():
        if name in members:
            hints = (f"did you mean `{root}.{name}{'.output' if root == 'tasks' else ''}`?",)
    if not hints and name in FUNCTIONS:
        hints = (f"'{name}' is a function: write `{name}(…)`",)
    if not hints:
        hints = (f"a text stands in quotes: '{name[:60]}'",)
    return Diagnostic(UNKNOWN_NAME, f"there is no '{name[:60]}' here", reference.span, hints)


def _where(name: str) -> tuple[str, ...]:
    match name:
        case "item" | "index":
            return ("it stands for an element of a task's `for_each`",)
        case "error":
            return ("it stands in `on_error`, in `retry.if`, in `on_failure` and in `finally`",)
        case "loop":
            return ("it stands for the rounds of a task with `repeat`",)
        case "output":
            return (
                "it stands in `repeat.until`, `repeat.collect` and `undo`; that of another task is `tasks.<id>.output`",
            )
        case "event":
            return ("it stands in the `filter` of a `wait` and of an event trigger",)
        case "tasks":
            return ("use a task of type `set`",)
        case _:
            return ()


def _task(reference: Reference, scope: ScopeNames) -> Iterator[Diagnostic]:
    path = reference.path
    if not path:
        hint = "write `tasks.<id>.output`: the id must be known before the run"
        yield Diagnostic(COMPUTED_TASK, "the task must be named", reference.span, (hint,))
        return
    known = scope.members.get("tasks")
    if known is not None and path[0] not in known:
        what = f"there is no task '{path[0]}'"
        yield Diagnostic(UNKNOWN_NAME, what, reference.span, _near(path[0], known))
    elif len(path) == 1:
        hint = f"write `tasks.{path[0]}.output`"
        yield Diagnostic(UNKNOWN_FIELD, "a task as a whole is no value", reference.span, (hint,))
    elif path[1] not in TASK_FIELDS:
        hints = _near(path[1], TASK_FIELDS) or (f"did you mean `tasks.{path[0]}.output.{path[1]}`?",)
        yield Diagnostic(UNKNOWN_FIELD, f"a task has no '{path[1]}'", reference.span, hints)


def _calls(expr: Expr, scope: ScopeNames) -> Iterator[Diagnostic]:
    for node in walk(expr):
        if type(node) is not Call:
            continue
        span = node.at.span
        function = FUNCTIONS.get(node.function)
        if function is None or (node.form == "method" and node.function not in METHODS):
            yield _unknown_function(node, span)
            continue
        if node.function in MOMENTARY and not scope.momentary:
            what = f"`{node.function}()` may not stand here, since it is another one each time"
            yield Diagnostic(NOT_HERE, what, span, ())
        yield from _arguments(node, span)
        if node.function in _PATTERN_FUNCTIONS and len(node.args) > 1:
            yield from _pattern(node.args[1])


def _unknown_function(node: Call, span: Span) -> Diagnostic:
    name = node.function
    if name in _INSTEAD:
        return Diagnostic(UNKNOWN_FUNCTION, f"there is no function '{name}'", span, (_INSTEAD[name],))
    if name in FUNCTIONS:
        what = f"'{name}' is no method"
        return Diagnostic(UNKNOWN_FUNCTION, what, span, (f"write `{name}(x)` or `x | {name}`",))
    known = METHODS if node.form == "method" else FUNCTIONS
    return Diagnostic(UNKNOWN_FUNCTION, f"there is no function '{name}'", span, _near(name, known))


def _arguments(node: Call, span: Span) -> Iterator[Diagnostic]:
    signature = FUNCTIONS[node.function].signature
    takes_any_name = any(part.kind is part.VAR_KEYWORD for part in signature.parameters.values())
    try:
        signature.bind(*node.args, **({} if takes_any_name else dict(node.named)))
    except TypeError as error:
        shown = ", ".join(
            parameter.name + ("=…" if parameter.default is not parameter.empty else "")
            for parameter in signature.parameters.values()
        )
        what = f"'{node.function}' cannot take these: {error}"
        yield Diagnostic(ARGUMENTS, what, span, (f"write `{node.function}({shown})`",))
        return
    generator = (
        node.args and type(node.args[0]) is ListComp and node.args[0].at.start == node.args[0].value.at.start
    )
    if generator and node.function not in SEVERAL_OF:
        hint = f"write `{node.function}([… for …])`"
        yield Diagnostic(ARGUMENTS, f"'{node.function}' takes a list in brackets", span, (hint,))


def _pattern(pattern: Expr) -> Iterator[Diagnostic]:
    if type(pattern) is Const and type(pattern.value) is str:
        try:
            compiled(pattern.value)
        except ExpressionError as error:
            yield Diagnostic(PATTERN, error.message, pattern.at.span)


def _bound(expr: Expr) -> Iterator[Diagnostic]:
    for node in walk(expr):
        if type(node) is not ListComp and type(node) is not DictComp:
            continue
        for loop in node.loops:
            for name in loop.names:
                if name in FUNCTIONS:
                    what = f"'{name}' is a function, so a `for` cannot bind it"
                    yield Diagnostic(BOUND_NAME, what, node.at.span, (f"write `{name}_` or another name",))


def _near(name: str, known: Collection[str]) -> tuple[str, ...]:
    import difflib  # start-up time: only for a misspelt name

    close = difflib.get_close_matches(name[:100], sorted(known)[:1000], n=1)
    return (f"did you mean '{close[0]}'?",) if close else ()
