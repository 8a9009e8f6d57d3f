"""Reads an expression: by recursive descent, with Python's precedence.

```text
expr    = or ["if" or "else" expr]      or = and {"or" and}      and = not {"and" not}
not     = "not" not | compare
compare = pipe {("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not" "in") pipe | "is" ["not"] "null"}
pipe    = sum {"|" NAME ["(" args ")"]}      sum = term {("+" | "-") term}
term    = sign {("*" | "/" | "//" | "%") sign}      sign = "-" sign | power      power = part ["**" sign]
part    = atom {"." NAME ["(" args ")"] | "[" expr "]" | "[" [expr] ":" [expr] [":" [expr]] "]"}
```

Depth is bounded by the scanner (brackets) and here (signs, conditions), the
length of chains here, and the levels of the whole tree (chains inside of
brackets inside of chains): so nothing that walks a tree can run out of stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from flowbuilder.compiler.expressions.codes import BOUND_NAME, LITERAL, REFUSED, SYNTAX, TOO_LARGE
from flowbuilder.compiler.expressions.problems import problem
from flowbuilder.compiler.expressions.scan import INT_MAX, MAX_DEPTH, MAX_LINKS, Token, scan
from flowbuilder.compiler.expressions.tree import (
    At,
    Binary,
    Call,
    Choice,
    Compare,
    CompareOp,
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
    Origin,
    Slice,
)
from flowbuilder.compiler.expressions.walk import is_deeper

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LEVELS: Final = 240
"""Levels of a tree: a chain of `MAX_LINKS`, and what people may write around it."""
KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else", "for"})
_CONSTANTS: Final = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
ROOTS: Final = frozenset(
    {
        "inputs",
        "config",
        "vars",
        "env",
        "secrets",
        "tasks",
        "item",
        "index",
        "loop",
        "output",
        "run",
        "trigger",
        "event",
        "error",
    }
)
"""Names of the flow, which no `for` may take."""
_COMPARE: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_REFUSED: Final = {
    "lambda": "there are no functions in expressions; write a comprehension or a `python` task",
    "yield": "an expression is one value",
    "await": "an expression waits for nothing; a task does",
    "async": "an expression waits for nothing; a task does",
    "import": "nothing can be imported; call a `python` task",
    "del": "nothing changes a value",
    "def": "there are no functions in expressions; call a `python` task",
    "return": "an expression is its value",
    "while": "write a comprehension, or `repeat` beside the task",
    "elif": "write `a if c else b if d else e`",
    "assert": "there is a task type `assert`",
    "undefined": "write `null`, or `exists(x)` to ask",
    "nil": "write `null`",
}
RESERVED: Final = ROOTS | KEYWORDS | _CONSTANTS.keys() | _REFUSED.keys()
"""Words that stand for something else than a name of the author's."""


def parse_expression(text: str, origin: Origin, start: int = 0) -> Expr:
    """Read a text that is one expression, without marks around it.

    Raises:
        ExpressionSyntaxError: with what is wrong, where, and what to write instead.
    """
    tokens, _ = scan(text, start, origin, closed=False)
    return Parser(tokens, origin).whole()


class Parser:
    """Reads the tokens of one expression."""

    def __init__(self, tokens: Sequence[Token], origin: Origin) -> None:
        self._tokens = tokens
        self._origin = origin
        self._place = 0
        self._token = tokens[0]
        self._depth = 0

    def whole(self) -> Expr:
        """Return the expression that all tokens are."""
        if self._token.kind == "end":
            raise self._wrong(SYNTAX, "there is no expression here")
        expr = self._expr()
        if self._token.kind != "end":
            self._unexpected()
        if is_deeper(expr, MAX_LEVELS):
            raise self._too_deep(self._tokens[0])
        return expr

    # -- tokens --------------------------------------------------------------------

    def _next(self) -> Token:
        token = self._token
        self._place += 1
        self._token = self._tokens[self._place]
        return token

    def _is(self, mark: str) -> bool:
        token = self._token
        return token.value == mark and token.kind == "op"

    def _word(self, word: str) -> bool:
        token = self._token
        return token.value == word and token.kind == "name"

    def _take(self, mark: str) -> bool:
        if self._is(mark):
            self._next()
            return True
        return False

    def _expect(self, mark: str) -> Token:
        if not self._is(mark):
            self._unexpected(f"'{mark}'")
        return self._next()

    def _at(self, start: int) -> At:
        return At(self._origin, start, self._tokens[self._place - 1].end)

    def _wrong(self, code: str, what: str, *hints: str, token: Token | None = None) -> Exception:
        token = token or self._token
        return problem(self._origin, code, token.start, token.end, what, *hints)

    def _unexpected(self, wanted: str = "") -> NoReturn:
        token = self._token
        if token.kind == "end":
            raise self._wrong(
                SYNTAX, "the expression ends too early" + (f"; {wanted} is missing" if wanted else "")
            )
        shown = f"'{token.value}'" if token.kind in ("op", "name") else f"this {token.kind}"
        if token.kind == "name" and token.value in _REFUSED:
            raise self._wrong(REFUSED, f"there is no `{token.value}` here", _REFUSED[str(token.value)])
        if token.value == "=" and token.kind == "op":
            raise self._wrong(SYNTAX, "'=' does not compare", "write `==`")
        hints = ["a value has a comma or an operator in front of the next"] if token.kind != "op" else []
        if token.kind == "name" and self._place and self._tokens[self._place - 1].kind == "name":
            hints = ["is a dot, a comma, an operator or a pair of quotes missing?"]
        wanted = f", where {wanted} should be" if wanted else ""
        raise self._wrong(SYNTAX, f"{shown} cannot stand here{wanted}", *hints)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH * 4:
            raise self._too_deep(self._token)

    def _too_deep(self, token: Token) -> Exception:
        what = "the expression is nested too deeply"
        return self._wrong(TOO_LARGE, what, "name the inner part in `vars`", token=token)

    def _links(self, count: int) -> None:
        if count > MAX_LINKS:
            what = f"a chain has at most {MAX_LINKS} links"
            raise self._wrong(TOO_LARGE, what, "use a list: `sum([…])`, `join([…])`, `any([…])`")

    # -- grammar, loosest first ------------------------------------------------------

    def _expr(self) -> Expr:
        start = self._token.start
        self._deeper()
        then = self._or()
        if self._word("if"):
            self._next()
            condition = self._or()
            if not self._word("else"):
                self._unexpected("'else'")
            self._next()
            otherwise = self._expr()
            then = Choice(self._at(start), condition, then, otherwise)
        self._depth -= 1
        return then

    def _or(self) -> Expr:
        start = self._token.start
        first = self._and()
        if not self._word("or"):
            return first
        operands = [first]
        while self._word("or"):
            self._next()
            operands.append(self._and())
            self._links(len(operands))
        return Logic(self._at(start), "or", tuple(operands))

    def _and(self) -> Expr:
        start = self._token.start
        first = self._not()
        if not self._word("and"):
            return first
        operands = [first]
        while self._word("and"):
            self._next()
            operands.append(self._not())
            self._links(len(operands))
        return Logic(self._at(start), "and", tuple(operands))

    def _not(self) -> Expr:
        if not self._word("not"):
            return self._compare()
        start = self._next().start
        self._deeper()
        of = self._not()
        self._depth -= 1
        return Not(self._at(start), of)

    def _compare(self) -> Expr:
        start = self._token.start
        first = self._pipe()
        rest: list[tuple[CompareOp, Expr]] = []
        while (op := self._compare_op()) is not None:
            if op in ("is null", "is not null"):
                token = self._tokens[self._place - 1]
                rest.append((op, Const(At(self._origin, token.start, token.end), None)))
            else:
                rest.append((op, self._pipe()))
            self._links(len(rest))
        return Compare(self._at(start), first, tuple(rest)) if rest else first

    def _compare_op(self) -> CompareOp | None:
        token = self._token
        if token.kind == "op" and token.value in _COMPARE:
            self._next()
            return token.value  # type: ignore[return-value]
        if token.kind != "name":
            return None
        match token.value:
            case "in":
                self._next()
                return "in"
            case "not":
                self._next()
                if not self._word("in"):
                    self._unexpected("'in'")
                self._next()
                return "not in"
            case "is":
                self._next()
                negated = self._word("not")
                if negated:
                    self._next()
                if self._token.kind != "name" or self._token.value not in ("null", "None"):
                    raise self._wrong(REFUSED, "`is` asks for null only", "write `==` to compare values")
                self._next()
                return "is not null" if negated else "is null"
        return None

    def _pipe(self) -> Expr:
        start = self._token.start
        value = self._sum()
        links = 0
        while self._take("|"):
            links += 1
            self._links(links)
            if self._token.kind != "name" or self._token.value in KEYWORDS:
                raise self._wrong(
                    SYNTAX, "behind `|` stands the name of a function", "write `x | default(0)`"
                )
            function = str(self._next().value)
            args, named = self._arguments() if self._is("(") else ((), ())
            value = Call(self._at(start), function, (value, *args), named, "filter")
        return value

    def _sum(self) -> Expr:
        start = self._token.start
        left = self._term()
        links = 0
        while self._token.kind == "op" and self._token.value in ("+", "-"):
            op = self._next().value
            links += 1
            self._links(links)
            right = self._term()
            left = Binary(self._at(start), op, left, right)  # type: ignore[arg-type]
        return left

    def _term(self) -> Expr:
        start = self._token.start
        left = self._sign()
        links = 0
        while self._token.kind == "op" and self._token.value in ("*", "/", "//", "%"):
            op = self._next().value
            links += 1
            self._links(links)
            right = self._sign()
            left = Binary(self._at(start), op, left, right)  # type: ignore[arg-type]
        return left

    def _sign(self, *, negative: bool = False) -> Expr:
        if self._is("+"):
            raise self._wrong(REFUSED, "there is no sign `+`", "leave it out")
        if not self._is("-"):
            return self._power(negative)
        start = self._next().start
        self._deeper()
        of = self._sign(negative=True)
        self._depth -= 1
        if type(of) is Const and type(of.value) in (int, float) and -of.value <= INT_MAX:  # type: ignore[operator]
            return Const(self._at(start), -of.value)  # type: ignore[operator]
        return Negate(self._at(start), of)

    def _power(self, negative: bool) -> Expr:
        start = self._token.start
        base = self._part()
        if not self._is("**"):
            if not negative:
                self._bounded(base)
            return base
        self._bounded(base)
        self._next()
        self._deeper()
        exponent = self._sign()
        self._depth -= 1
        return Binary(self._at(start), "**", base, exponent)

    def _bounded(self, expr: Expr) -> None:
        """Refuse the one integer that the scanner lets through for the sake of its negative."""
        if type(expr) is Const and type(expr.value) is int and expr.value > INT_MAX:
            token = self._tokens[self._place - 1]
            raise self._wrong(LITERAL, "an integer has at most 64 bits", token=token)

    def _part(self) -> Expr:
        start = self._token.start
        value = self._atom()
        links = 0
        while self._token.kind == "op":
            mark = self._token.value
            if mark == ".":
                value = self._dotted(value, start)
            elif mark == "[":
                value = self._indexed(value, start)
            else:
                break
            links += 1
            self._links(links)
        return value

    def _dotted(self, of: Expr, start: int) -> Expr:
        self._next()
        token = self._token
        if token.kind != "name":
            hint = "keys that are no words stand in brackets: `h['content-type']`"
            raise self._wrong(SYNTAX, "behind a dot stands a name", hint)
        self._next()
        if self._is("("):
            args, named = self._arguments()
            return Call(self._at(start), str(token.value), (of, *args), named, "method")
        return Member(self._at(start), of, str(token.value))

    def _indexed(self, of: Expr, start: int) -> Expr:
        self._next()
        parts: list[Expr | None] = [None]
        colons = 0
        while not self._is("]"):
            if self._take(":"):
                colons += 1
                parts.append(None)
                if colons > 2:
                    raise self._wrong(SYNTAX, "a slice has at most three parts")
            elif parts[-1] is None:
                parts[-1] = self._expr()
                if self._is(","):
                    raise self._wrong(REFUSED, "an index is one value", "write `a[i][j]`")
            else:
                self._unexpected("']'")
        self._next()
        if not colons:
            if parts[0] is None:
                raise self._wrong(SYNTAX, "an index is missing between the brackets")
            return Index(self._at(start), of, parts[0])
        parts += [None] * (3 - len(parts))
        return Slice(self._at(start), of, parts[0], parts[1], parts[2])

    # -- atoms -----------------------------------------------------------------------

    def _atom(self) -> Expr:
        token = self._token
        match token.kind:
            case "number" | "text":
                self._next()
                if token.kind == "text" and self._token.kind == "text":
                    raise self._wrong(SYNTAX, "two texts stand side by side", "join them with `+`")
                return Const(At(self._origin, token.start, token.end), token.value)
            case "name":
                return self._name()
            case "op":
                match token.value:
                    case "(":
                        return self._bracketed()
                    case "[":
                        return self._list()
                    case "{":
                        return self._map()
                    case "*" | "**":
                        raise self._wrong(
                            REFUSED, "there is no unpacking", "join lists with `+`, mappings with `merge`"
                        )
        self._unexpected()

    def _name(self) -> Expr:
        token = self._token
        name = str(token.value)
        if name in _CONSTANTS:
            self._next()
            return Const(At(self._origin, token.start, token.end), _CONSTANTS[name])
        if name in KEYWORDS or name in _REFUSED:
            self._unexpected("a value")
        self._next()
        if self._is("("):
            args, named = self._arguments()
            return Call(self._at(token.start), name, args, named)
        if self._is("="):
            raise self._wrong(SYNTAX, "'=' does not compare", "write `==`")
        return Name(At(self._origin, token.start, token.end), name)

    def _bracketed(self) -> Expr:
        self._next()
        if self._is(")"):
            raise self._wrong(REFUSED, "there are no tuples", "write a list: `[]`")
        value = self._expr()
        if self._is(","):
            raise self._wrong(REFUSED, "there are no tuples", "write a list: `[a, b]`")
        if self._word("for"):
            raise self._wrong(REFUSED, "a comprehension stands in square brackets", "write `[x for x in xs]`")
        self._expect(")")
        return value

    def _list(self) -> Expr:
        start = self._next().start
        items: list[Expr] = []
        while not self._is("]"):
            items.append(self._expr())
            if len(items) == 1 and self._word("for"):
                loops = self._loops()
                self._expect("]")
                return ListComp(self._at(start), items[0], loops)
            if not self._take(","):
                break
        self._expect("]")
        return List(self._at(start), tuple(items))

    def _map(self) -> Expr:
        start = self._next().start
        items: list[tuple[Expr, Expr]] = []
        while not self._is("}"):
            key = self._expr()
            if self._is(",") or self._is("}"):
                raise self._wrong(
                    REFUSED, "there are no sets", "write a list, and `unique(…)` where it matters"
                )
            self._expect(":")
            value = self._expr()
            items.append((key, value))
            if len(items) == 1 and self._word("for"):
                loops = self._loops()
                self._expect("}")
                return DictComp(self._at(start), key, value, loops)
            if not self._take(","):
                break
        self._expect("}")
        return Dict(self._at(start), tuple(items))

    def _arguments(self) -> tuple[tuple[Expr, ...], tuple[tuple[str, Expr], ...]]:
        self._next()
        args: list[Expr] = []
        named: list[tuple[str, Expr]] = []
        while not self._is(")"):
            token = self._token
            after = self._tokens[self._place + 1] if token.kind == "name" else token
            if after.kind == "op" and after.value == "=":
                self._next()
                self._next()
                if any(name == token.value for name, _ in named):
                    raise self._wrong(SYNTAX, f"'{token.value}' is given twice", token=token)
                named.append((str(token.value), self._expr()))
            else:
                if named:
                    raise self._wrong(SYNTAX, "values with a name stand behind those without")
                args.append(self._expr())
                if len(args) == 1 and self._word("for"):
                    loops = self._loops()
                    args[0] = ListComp(self._at(token.start), args[0], loops)
                    if not self._is(")"):
                        self._unexpected("')'")
            if not self._take(","):
                break
        self._expect(")")
        return tuple(args), tuple(named)

    def _loops(self) -> tuple[For, ...]:
        loops: list[For] = []
        while self._word("for"):
            self._next()
            names = [self._target()]
            while self._take(","):
                names.append(self._target())
            if not self._word("in"):
                self._unexpected("'in'")
            self._next()
            over = self._or()
            conditions: list[Expr] = []
            while self._word("if"):
                self._next()
                conditions.append(self._or())
            loops.append(For(tuple(names), over, tuple(conditions)))
            self._links(len(loops))
        return tuple(loops)

    def _target(self) -> str:
        token = self._token
        if token.kind != "name" or token.value in KEYWORDS or token.value in _CONSTANTS:
            raise self._wrong(
                BOUND_NAME, "a `for` binds plain names", "write `for x in xs` or `for k, v in m.items()`"
            )
        name = str(token.value)
        if name in ROOTS:
            raise self._wrong(BOUND_NAME, f"'{name}' means something already", "choose another name")
        self._next()
        if self._is(".") or self._is("["):
            raise self._wrong(BOUND_NAME, "a `for` binds plain names", "write `for x in xs`", token=token)
        return name
