"""Words: pieces in quotes and without, expansions, brackets, arrays, patterns."""

from __future__ import annotations

import re
from typing import Final

from flowbuilder.core.shellcode import EXPANDED, VALUE, Word
from flowbuilder.core.shellscan.cursor import Lost
from flowbuilder.core.shellscan.expansions import Expansions

_METACHARACTERS: Final = " \t\n;&|<>()"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARRAY_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[.*\])?\+?=", re.DOTALL)


class Words(Expansions):
    """Reads words."""

    def word(self, assign: bool = False, pattern: bool = False, regex: bool = False) -> Word:
        """Read a word; an empty one where none stands."""
        word = Word("")
        while (c := self.peek()) and (
            c not in _METACHARACTERS or self.opens(c, word, assign, pattern, regex)
        ):
            if c in "<>":
                self.substitution(2)
                word.text += EXPANDED
            elif c == "(":
                self.word_bracket(word, assign)
            elif c == "[" and assign and _NAME.fullmatch(word.text) and word.plain:
                self.subscript(word)
            else:
                self.part(word)
        return word

    def opens(self, c: str, word: Word, assign: bool, pattern: bool, regex: bool) -> bool:
        """Tell whether a metacharacter is a part of the word all the same."""
        if c in "<>":
            return self.peek(1) == "("
        if c == "(":
            if assign and word.plain and _ARRAY_NAME.fullmatch(word.text):
                return True
            return regex or (bool(word.text) and self.text[self.at - 1] in "?*+@!" and self.at > 0)
        return c == "|" and regex

    def word_bracket(self, word: Word, assign: bool) -> None:
        """Read a bracket in a word: an array, or a pattern."""
        if assign and word.plain and _ARRAY_NAME.fullmatch(word.text):
            self.deeper(self.array)
            word.text += EXPANDED
        else:
            self.deeper(lambda: self.glob(word))

    def subscript(self, word: Word) -> None:
        """Read `[…]` behind a name: bash computes it where the array has numbers for keys."""
        before = len(self.places)
        word.text += self.take()
        self.arithmetic("]")
        word.text += EXPANDED + "]"
        word.values += self.values_since(before)

    def array(self) -> None:
        """Read `(…)` behind `name=`."""
        self.take()
        while True:
            self.blanks("\n")
            c = self.peek()
            if c == ")":
                self.take()
                return
            if c == "#":
                self.comment()
                continue
            if c == "[":
                self.take()
                self.arithmetic("]")
            start = self.at
            self.word()
            if self.at == start and c != "[":
                raise Lost("a list in brackets cannot be read")

    def glob(self, word: Word) -> None:
        """Read `(…|…)` of an extended pattern or of a regular expression."""
        word.text += self.take()
        while True:
            c = self.peek()
            if not c:
                raise Lost("a bracket in a pattern is never closed")
            if c == ")":
                word.text += self.take()
                return
            if c == "(":
                self.deeper(lambda: self.glob(word))
            else:
                self.part(word)

    def part(self, word: Word) -> None:
        """Read one part of a word: a quoted piece, an expansion, a value, a character."""
        c = self.peek()
        if c == VALUE:
            word.values.append(self.value("bare"))
            word.text += VALUE
        elif c == "\\":
            word.plain = False
            word.text += self.escape()
        elif c in "'\"" or (c == "$" and self.peek(1) in ("'", '"')):
            word.plain = False
            self.quotation(word)
        elif c in "$`":
            self.expansion(word)
        else:
            word.text += self.take()

    def quotation(self, word: Word) -> None:
        """Read a piece in quotes."""
        start, before = self.at, len(self.places)
        if self.peek() == "$":
            if self.peek(1) == "'":
                self.ansi()
            else:
                self.take()
                self.double()
        elif self.peek() == "'":
            self.single()
        else:
            self.double()
        word.text += self.text[start : self.at].removeprefix("$")[1:-1]
        word.values += self.values_since(before)

    def expansion(self, word: Word) -> None:
        """Read what begins with `$`, or stands in backticks."""
        start, before = self.at, len(self.places)
        self.dollar("bare") if self.peek() == "$" else self.backtick()
        word.text += "$" if self.at == start + 1 else EXPANDED
        word.values += self.values_since(before)

    def comment(self) -> None:
        """Read to the end of the line."""
        while (c := self.peek()) and c != "\n":
            if c == VALUE:
                self.value("comment")
            else:
                self.take()
