"""Quotes, `$…`, backticks and arithmetic: what stands inside of a word."""

from __future__ import annotations

import re
from typing import Final, Literal

from flowbuilder.core.shellcode import VALUE
from flowbuilder.core.shellscan.cursor import Cursor, Lost

_PARAMETER: Final = re.compile(r"[!#]?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*?$!#-])|[!#]")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_OPERATOR: Final = re.compile(r":[-=?+]|##?|%%?|//?|\^\^?|,,?|[-=?+]|:|[@*][A-Za-z]?|")


class Expansions(Cursor):
    """Reads quotes and expansions, which may hold commands again."""

    def commands(self, closer: Literal[")", "case"] | None) -> str:
        """Read commands up to what closes them: the layer above knows how."""
        raise NotImplementedError

    def escape(self) -> str:
        """Read a backslash and what it quotes."""
        self.take()
        c = self.peek()
        if c == VALUE:
            self.problem(
                self.value("quoted"),
                "a backslash before a value can mean several things: write '$${{' for the characters '${{'",
            )
            return VALUE
        return "" if not c or self.take() == "\n" else c

    def single(self) -> None:
        """Read a text in single quotes."""
        start = self.at
        self.take()
        while (c := self.peek()) != "'":
            if not c:
                self.at = start
                raise Lost("a single quote is never closed")
            if c == VALUE:
                self.value("single")
            else:
                self.take()
        self.take()

    def ansi(self) -> None:
        """Read a text in `$'…'`."""
        start = self.at
        self.take(2)
        while (c := self.peek()) != "'":
            if not c:
                self.at = start
                raise Lost("a single quote is never closed")
            if c == VALUE:
                self.value("ansi")
            elif c == "\\":
                self.escape()
            else:
                self.take()
        self.take()

    def double(self) -> None:
        """Read a text in double quotes."""
        start = self.at
        self.take()
        while (c := self.peek()) != '"':
            if not c:
                self.at = start
                raise Lost("a double quote is never closed")
            self.expanded_part("quoted")
        self.take()

    def expanded_part(self, inside: Literal["quoted", "here"]) -> None:
        """Read one part of what stands in double quotes or in a here-document."""
        c = self.peek()
        if c == VALUE:
            self.value("quoted")
        elif c == "\\":
            self.escape()
        elif c == "$":
            self.dollar(inside)
        elif c == "`":
            self.backtick()
        else:
            self.take()

    def dollar(self, inside: Literal["bare", "quoted", "here"]) -> None:
        """Read what begins with `$`."""
        after = self.peek(1)
        if after == VALUE:
            self.take()
            self.problem(self.value("quoted"), "a '$' before a value would make it a variable's name")
        elif after == "(":
            if not (self.sees("$((") and self.arithmetic_command("$((")):
                self.substitution(2)
        elif after == "{":
            self.deeper(lambda: self.parameter(inside))
        elif after == "[":
            self.take(2)
            self.arithmetic("]")
        else:
            match = _VARIABLE.match(self.text, self.at + 1, self.limit)
            self.take(1 if match is None else 1 + len(match[0]))

    def substitution(self, opening: int) -> None:
        """Read `$(…)`, `<(…)` or `>(…)`."""
        self.take(opening)
        documents, self.documents = self.documents, []
        computing, self.computing = self.computing, 0
        before = len(self.places)
        self.deeper(lambda: self.commands(")"))
        if self.documents:
            raise Lost("a here-document in a '$( )' begins on its last line")
        self.documents, self.computing = documents, computing
        self.computed_output(before)

    def computed_output(self, before: int) -> None:
        """Refuse values in a command whose output bash computes with."""
        if self.computing:
            for index in self.values_since(before):
                self.problem(index, "bash computes with what this command prints, and the value may be in it")

    def backtick(self) -> None:
        """Read a substitution in backticks, whose end is found before its quotes are looked at."""
        end = self.at + 1
        while end < self.limit and self.text[end] != "`":
            end += 2 if self.text[end] == "\\" else 1
        if end >= self.limit:
            raise Lost("a backtick is never closed")
        body = self.text[self.at + 1 : end]
        if VALUE not in body:
            self.take(end + 1 - self.at)
            return
        self.take()
        if "\\" in body:
            while self.at < end:
                if self.peek() == VALUE:
                    self.problem(
                        self.value("bare"), "backslashes within backticks: write '$( )' instead of them"
                    )
                else:
                    self.take()
        else:
            self.backtick_body(end)
        self.take()

    def backtick_body(self, end: int) -> None:
        """Read what stands between backticks."""
        limit, self.limit = self.limit, end
        documents, self.documents = self.documents, []
        computing, self.computing = self.computing, 0
        before = len(self.places)
        self.deeper(lambda: self.commands(None))
        self.limit, self.documents, self.computing = limit, documents, computing
        self.computed_output(before)

    def parameter(self, inside: Literal["bare", "quoted", "here"]) -> None:
        """Read `${…}`."""
        self.take(2)
        match = _PARAMETER.match(self.text, self.at, self.limit)
        if match is None:
            raise Lost("a '${' is followed by no name")
        self.take(match.end() - self.at)
        if self.peek() == "[":
            self.take()
            self.arithmetic("]")
        match = _OPERATOR.match(self.text, self.at, self.limit)
        assert match is not None
        operator = self.take(match.end() - self.at)
        if operator == ":":
            self.arithmetic("}")
            return
        if operator[:1] in ("@", "*", ""):
            if self.peek() != "}":
                raise Lost("a '${' cannot be read")
            self.take()
            return
        before = len(self.places)
        self.parameter_word(inside, pattern=operator[0] in "#%/^,")
        if operator[0] == "/" and inside == "bare":
            for index in self.values_since(before):
                self.problem(index, "bash splits what this expansion yields: write double quotes around it")

    def parameter_word(self, inside: Literal["bare", "quoted", "here"], pattern: bool) -> None:
        """Read the word of `${name-word}`, whose quotes count for less within other quotes."""
        bare = inside == "bare" or pattern
        while (c := self.peek()) != "}":
            before = len(self.places)
            if not c:
                raise Lost("a '${' is never closed")
            if c == VALUE:
                self.value("bare" if bare else "quoted")
            elif c == "\\":
                self.escape()
            elif c == '"':
                self.double()
                if inside != "bare":
                    self.nested_quotes(before)
            elif c == "'" and bare:
                self.single()
                if inside != "bare":
                    self.nested_quotes(before)
            elif c == "$" and self.peek(1) == "'" and bare:
                self.ansi()
                if inside != "bare":
                    self.nested_quotes(before)
            elif c == "$":
                self.dollar("bare" if bare else inside)
            elif c == "`":
                self.backtick()
            else:
                self.take()
        self.take()

    def nested_quotes(self, before: int) -> None:
        """Refuse values behind quotes whose meaning depends on what is around them."""
        for index in self.values_since(before):
            self.problem(index, "quotes in a '${ }' within quotes: their meaning cannot be told")

    def arithmetic_command(self, opening: str) -> bool:
        """Read `((…))` or `$((…))`; if it is none, read nothing and say so."""
        if self.at in self.no_arithmetic:
            return False
        at, count, limit = self.at, len(self.places), self.limit
        depth, computing = self.depth, self.computing
        documents = list(self.documents)
        try:
            self.take(len(opening))
            self.deeper(lambda: self.arithmetic("))"))
        except Lost:
            self.at, self.depth, self.computing, self.documents = at, depth, computing, documents
            self.limit = limit
            del self.places[count:]
            self.problems = {index: why for index, why in self.problems.items() if index < count}
            self.no_arithmetic.add(at)
            return False
        return True

    def arithmetic(self, closer: Literal["))", "]", "}"]) -> None:
        """Read what bash computes, with its end."""
        self.computing += 1
        opener = {"))": "(", "]": "[", "}": "{"}[closer]
        depth = 0
        while True:
            c = self.peek()
            if not c:
                raise Lost("what bash is to compute is never closed")
            if c == closer[0] and depth == 0:
                if not self.sees(closer):
                    raise Lost("a bracket is closed twice")
                self.take(len(closer))
                break
            depth += (c == opener) - (c == closer[0])
            self.arithmetic_part(c)
        self.computing -= 1

    def arithmetic_part(self, c: str) -> None:
        """Read one part of what bash computes."""
        if c == VALUE:
            self.value("number")
        elif c == "'":
            self.single()
        elif c == '"':
            self.double()
        elif c == "\\":
            self.escape()
        elif c == "$":
            self.dollar("quoted")
        elif c == "`":
            self.backtick()
        else:
            self.take()
