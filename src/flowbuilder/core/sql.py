"""SQL, as far as it must be understood to bind values: where texts, comments and parameters are.

A statement is cut into tokens as its dialect cuts it; nothing is parsed.  A
parameter is `:name`, or `?`; it is one only outside of texts, quoted names,
comments and dollar quotes, and `::casts`, `a[1:n]` and `{'a':b}` are none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from flowbuilder.core.policies import Effect

Dialect = Literal["sqlite", "postgres", "duckdb", "mysql"]
Kind = Literal["space", "quoted", "word", "named", "mark", "native", "end", "other"]

DIALECTS: Final[tuple[Dialect, ...]] = ("sqlite", "postgres", "duckdb", "mysql")


class Token(NamedTuple):
    """A piece of SQL; all pieces together are the text."""

    kind: Kind
    text: str


Statement = tuple[Token, ...]

_WORD: Final = r"[A-Za-z_\u0080-\U0010ffff][\w$]*"
_TEXT: Final = r"'(?:[^']|'')*(?:'|$)"
_NAME: Final = r'"(?:[^"]|"")*(?:"|$)'
_BACKSLASHED: Final = r"'(?:[^'\\]|\\.|'')*(?:'|$)"
_QUOTED: Final[dict[Dialect, tuple[str, ...]]] = {
    "sqlite": (_TEXT, _NAME, r"`(?:[^`]|``)*(?:`|$)", r"\[[^\]]*(?:\]|$)"),
    "postgres": (rf"[eE]{_BACKSLASHED}", _TEXT, _NAME),
    "duckdb": (rf"[eE]{_BACKSLASHED}", _TEXT, _NAME),
    "mysql": (_BACKSLASHED, r'"(?:[^"\\]|\\.|"")*(?:"|$)', r"`(?:[^`]|``)*(?:`|$)"),
}
_COMMENT: Final[dict[Dialect, str]] = {
    "sqlite": r"--[^\n]*",
    "postgres": r"--[^\n]*",
    "duckdb": r"--[^\n]*",
    "mysql": r"--(?=\s|$)[^\n]*|\#[^\n]*",
}
_DOLLAR: Final = r"\$(?:[A-Za-z_\u0080-\U0010ffff]\w*)?\$"
_BLOCK: Final = r"/\*|\*/"


def tokens(sql: str, dialect: Dialect) -> Iterator[Token]:
    """Yield the tokens of a text, in order; what is not closed goes to the end."""
    pattern = _pattern(dialect)
    place, before = 0, ""
    while place < len(sql):
        if sql.startswith("/*", place):
            end = _end_of_comment(sql, place, nested=dialect in ("postgres", "duckdb"))
            token = Token("space", sql[place:end])
        elif (
            dialect in ("postgres", "duckdb")
            and sql[place] == "$"
            and (opening := re.compile(_DOLLAR).match(sql, place)) is not None
        ):
            closing = sql.find(opening[0], opening.end())
            token = Token("quoted", sql[place : closing + len(opening[0]) if closing >= 0 else len(sql)])
        else:
            match = pattern.match(sql, place)
            assert match is not None, "some character is always an other"
            kind: Kind = match.lastgroup  # type: ignore[assignment]
            text = match[0]
            if kind == "named" and (before.isalnum() or before in ("_", ":", "'", '"', "`", "]")):
                kind, text = "other", ":"
            token = Token(kind, text)
        yield token
        place += len(token.text)
        before = token.text[-1]


@functools.cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    parts = (
        rf"(?P<space>\s+|{_COMMENT[dialect]})",
        rf"(?P<quoted>{'|'.join(_QUOTED[dialect])})",
        rf"(?P<word>{_WORD})",
        r"(?P<native>\$\d+)",
        r"(?P<named>:[A-Za-z_]\w*)",
        r"(?P<mark>\?)",
        r"(?P<end>;)",
        r"(?P<other>\d[\w.]*|::|:=|.)",
    )
    return re.compile("|".join(parts), re.DOTALL)


def _end_of_comment(sql: str, start: int, *, nested: bool) -> int:
    depth = 0
    for match in re.compile(_BLOCK).finditer(sql, start):
        if match[0] == "*/":
            depth -= 1
        elif depth == 0 or nested:
            depth += 1
        if depth == 0:
            return match.end()
    return len(sql)


def split(sql: str, dialect: Dialect) -> list[Statement]:
    """Return the statements of a text without what ends them; those of nothing but space are left out.

    Bodies of triggers, functions and procedures stay whole.
    """
    found: list[Statement] = []
    current: list[Token] = []
    depth = 0
    for token in tokens(sql, dialect):
        if token.kind == "word":
            depth = _depth(current, token.text.upper(), depth)
        if token.kind == "end" and depth == 0:
            found.append(tuple(current))
            current = []
            continue
        current.append(token)
    found.append(tuple(current))
    return [_stripped(statement) for statement in found if any(t.kind != "space" for t in statement)]


_BODIES: Final = frozenset({"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"})


def _depth(before: Sequence[Token], word: str, depth: int) -> int:
    """Return how many bodies are open behind a word."""
    if word not in ("BEGIN", "CASE", "END", "ATOMIC"):
        return depth
    words = [token.text.upper() for token in before if token.kind == "word"]
    if not words or words[0] != "CREATE" or not _BODIES.intersection(words[:8]):
        return depth
    if word == "BEGIN" or (word == "CASE" and depth and words[-1:] != ["END"]):
        return depth + 1
    if word == "END" and depth:
        return depth - 1
    return depth


def _stripped(statement: Statement) -> Statement:
    start, end = 0, len(statement)
    while statement[start].kind == "space":
        start += 1
    while statement[end - 1].kind == "space":
        end -= 1
    return statement[start:end]


_READS: Final = frozenset(
    [
        "SELECT",
        "VALUES",
        "TABLE",
        "WITH",
        "SHOW",
        "EXPLAIN",
        "DESCRIBE",
        "DESC",
        "PRAGMA",
        "FROM",
        "SUMMARIZE",
    ]
)
_CHANGES: Final = frozenset(["INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "CALL", "SET", "COPY", "LOCK"])
_CHANGING: Final = (
    r"nextval|setval|set_config|load_extension|writefile|get_lock|release_lock|release_all_locks"
    r"|pg_notify|pg_advisory\w*|pg_try_advisory\w*|pg_terminate_backend|pg_cancel_backend|pg_reload_conf"
    r"|lo_\w+|dblink\w*|query_to_xml|pg_logical\w*|pg_create\w*|pg_drop\w*|edit|fts3_tokenizer"
)
_PRAGMAS: Final = (
    r"(table|index|foreign_key|database|function|module|collation|pragma|compile)_x?(info|list|options)"
    r"|integrity_check|quick_check|foreign_key_check"
)


def effect_of(sql: str) -> Effect:
    """Tell whether a text only reads.  Where one dialect might see a change in it, it writes.

    A function of the author's own that changes something cannot be seen from
    here: the flow then says `effect: write`.
    """
    return "read" if all(_reads(sql, dialect) for dialect in DIALECTS) else "write"


def _reads(sql: str, dialect: Dialect) -> bool:
    if "/*!" in sql or "/*M!" in sql:  # MySQL carries such comments out
        return False
    statements = split(sql, dialect)
    return bool(statements) and all(_only_reads(statement) for statement in statements)


def _only_reads(statement: Statement) -> bool:
    meant = [token for token in statement if token.kind != "space"]
    first = next((token for token in meant if token.text != "("), meant[0])
    if first.kind != "word" or (word := first.text.upper()) not in _READS:
        return False
    words = [token.text.upper() for token in meant if token.kind == "word"]
    if word == "PRAGMA":
        return all(token.text != "=" for token in meant) and (
            all(token.text != "(" for token in meant)
            or any(re.fullmatch(_PRAGMAS, each, re.IGNORECASE) for each in words)
        )
    if word == "EXPLAIN" and "ANALYZE" not in words:
        return True
    for number, token in enumerate(meant):
        if token.kind not in ("word", "quoted"):
            continue
        following = meant[number + 1].text if number + 1 < len(meant) else ""
        name = token.text.upper()
        if token.kind == "word" and name in _CHANGES:
            return False
        if following == "(" and re.fullmatch(_CHANGING, token.text.strip('"`[]'), re.IGNORECASE):
            return False
        if name in ("REPLACE", "FOR") and following.upper() in ("INTO", "SHARE", "NO", "KEY"):
            return False
    return True


def first_word(statement: Statement) -> str:
    """Return the word that a statement begins with, in upper case."""
    return next((token.text.upper() for token in statement if token.kind == "word"), "")


class Asked(NamedTuple):
    """What a query asks to be given."""

    names: tuple[str, ...]
    """Of `:name`, each once, in the order in which they stand."""
    marks: int
    """How many `?` there are."""
    native: str = ""
    """A place as a driver writes it (`$1`), which we do not take."""


def asked_for(sql: str, dialect: Dialect) -> Asked:
    """Return what a text asks to be given, whether or not it is."""
    found = [token for statement in split(sql, dialect) for token in statement]
    names = dict.fromkeys(token.text[1:] for token in found if token.kind == "named")
    native = next((token.text for token in found if token.kind == "native"), "")
    return Asked(tuple(names), sum(token.kind == "mark" for token in found), native)
