"""Commands: lists, pipelines, `case`, `[[ ]]`, functions; the whole script."""

from __future__ import annotations

import re
from typing import Final, Literal

from flowbuilder.core.shellcode import Command, Word
from flowbuilder.core.shellscan.cursor import Lost
from flowbuilder.core.shellscan.redirections import Redirections

_METACHARACTERS: Final = " \t\n;&|<>()"
_NO_ARGUMENTS: Final = re.compile(r"\([ \t]*\)")
_ESAC: Final = re.compile(r"esac(?![^\s;&|<>()])")
_TRANSPARENT: Final = frozenset(
    {"if", "then", "else", "elif", "while", "until", "do", "{", "!", "time", "coproc"}
)
"""Reserved words behind which a command begins."""


class Script(Redirections):
    """Reads a script."""

    def scan(self) -> None:
        """Scan the whole script; what goes wrong is in `problems`."""
        why = ""
        if self.foreign:
            why = "the script has a NUL or a control character in it"
        elif "__fb_" in self.text:
            why = "names that begin with '__fb_' are FlowBuilder's own"
        elif re.search(r"\bexpand_aliases\b", self.text):
            why = "with 'expand_aliases' no one can tell how bash reads the script"
        else:
            try:
                self.commands(None)
            except Lost as lost:
                line = self.text.count("\n", 0, self.at) + 1
                why = f"the place of this value cannot be told: {lost} (line {line} of the script)"
                del self.places[self.sure :]
        if why:
            self.problems |= {index: why for index in range(len(self.places), self.count)}

    def commands(self, closer: Literal[")", "case"] | None) -> str:
        """Read commands up to their end, step over it, and return it.

        Args:
            closer: what may end them besides the end of the text: `)`; or, in a `case`, `;;` or `esac`.
        """
        pipeline: list[Command] = []
        command = Command()
        while True:
            self.blanks()
            c = self.peek()
            if not c or (c in ";&|\n)" and not self.sees("&>")):
                piped = c == "|" and not self.sees("||")
                if not command.is_empty or command.fed:
                    pipeline.append(command)
                    self.judge.command(command)
                if not piped:
                    self.judge_pipeline(pipeline)
                    pipeline = []
                command = Command()
                if self.depth == 0:
                    self.sure = len(self.places)
                if (end := self.operator(c, closer)) is not None:
                    return end
            elif c == "#":
                self.comment()
            elif c == "&" or (c in "<>" and self.peek(1) != "("):
                self.redirection(command, pipeline)
            elif c == "(":
                self.bracket(command)
            elif self.next_word(command) == "esac":
                if closer == "case":
                    return "esac"
                raise Lost("an 'esac' closes nothing")

    def operator(self, c: str, closer: str | None) -> str | None:
        """Step over an operator; return it if the commands end with it."""
        if not c:
            if closer is not None:
                raise Lost("a bracket or a 'case' is never closed")
            return ""
        if c == "\n":
            self.take()
            self.bodies()
            return None
        if c == ")":
            if closer != ")":
                raise Lost("a ')' closes nothing")
            return self.take()
        if closer == "case" and (self.sees(";;") or self.sees(";&")):
            return self.take(3 if self.sees(";;&") else 2)
        self.take(2 if self.text[self.at : self.at + 2] in ("&&", "||", "|&") else 1)
        return None

    def bracket(self, command: Command) -> None:
        """Read what begins with a bracket that is no part of a word."""
        if command.is_empty or [word.text for word in command.words] == ["for"]:
            if self.sees("((") and self.arithmetic_command("(("):
                command.closed = True
                return
            if command.is_empty:
                self.take()
                self.deeper(lambda: self.commands(")"))
                command.closed = True
                return
        if len(command.words) == 1 and (match := _NO_ARGUMENTS.match(self.text, self.at, self.limit)):
            self.take(match.end() - self.at)  # a function's definition: its body is a command
            command.words.clear()
            return
        raise Lost("a '(' stands where no command begins")

    def next_word(self, command: Command) -> str:
        """Read one word of a command, or the whole construct that a reserved word opens; return the word."""
        begins = command.is_empty
        start = self.at
        word = self.word(assign=command.takes_assignments)
        if self.at == start:
            raise Lost("a word cannot be read")
        if self.peek() and self.peek() in "<>" and self.text[start : self.at].isdigit():
            return ""  # the number of a redirection
        if not (begins and word.plain):
            command.words.append(word)
            return ""
        match word.text:
            case "[[":
                self.condition()
                command.closed = True
            case "case":
                self.deeper(self.case)
                command.closed = True
            case "function":
                self.function()
            case "}" | "fi" | "done" | "esac":
                command.closed = True
                return word.text
            case text if text not in _TRANSPARENT:
                command.words.append(word)
        return ""

    def function(self) -> None:
        """Read a function's name behind `function`; its body is a command."""
        self.blanks()
        self.word()
        self.blanks()
        if match := _NO_ARGUMENTS.match(self.text, self.at, self.limit):
            self.take(match.end() - self.at)

    def case(self) -> None:
        """Read `case … esac` behind its first word."""
        self.blanks()
        self.word()
        self.blanks("\n")
        if self.word().text != "in":
            raise Lost("a 'case' has no 'in'")
        while True:
            self.blanks("\n")
            if self.peek() == "#":
                self.comment()
            elif _ESAC.match(self.text, self.at, self.limit):
                self.take(4)
                return
            else:
                if self.peek() == "(":
                    self.take()
                self.patterns()
                if self.commands("case") == "esac":
                    return

    def patterns(self) -> None:
        """Read the patterns of a clause and the `)` behind them."""
        while True:
            self.blanks("\n")
            c = self.peek()
            if c == ")":
                self.take()
                return
            if c == "|":
                self.take()
            elif not c or c in _METACHARACTERS:
                raise Lost("a clause of a 'case' cannot be read")
            else:
                self.word()

    def condition(self) -> None:
        """Read `[[ … ]]` behind its first word."""
        words: list[Word] = []
        while True:
            self.blanks("\n")
            c = self.peek()
            if not c:
                raise Lost("a '[[' is never closed")
            if c in "()&|<>;":
                words.append(Word(self.take()))
                continue
            word = self.word(pattern=True, regex=bool(words) and words[-1].text == "=~")
            if word.plain and word.text == "]]":
                break
            words.append(word)
        self.judge.condition(words)
