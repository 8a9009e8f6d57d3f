"""Commands that take a value for code, for an arithmetic expression or for a variable's name.

Quotes are of no use there: `eval "$x"` runs what is in `x`, `[[ "$x" -eq 1 ]]`
computes it, `unset "$x"` and `printf -v "$x"` evaluate the subscript of
`a[$(date)]`.  The tables here say which commands do what; `core.shellscan`
asks about each command of a script.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

Report = Callable[[int, str], None]
"""Takes a value's number, and why it cannot be bound."""

VALUE: Final = "\0"
"""Stands for a value in a word's text; bash scripts hold no NUL."""

EXPANDED: Final = "\1"
"""Stands in a word's text for what bash will put there, which may be nothing at all."""

_DECLARATIONS: Final = frozenset({"declare", "typeset", "local", "readonly", "export"})
_TAKE_NAMES: Final = frozenset({"unset", "read", "mapfile", "readarray", "getopts", "wait"})
_TAKE_CODE: Final = frozenset({"eval", "trap", "compgen", "complete", "bind", "alias", "enable", "watch"})
_EVALUATED_VARIABLES: Final = re.compile(r"(PS[0-4]|PROMPT_COMMAND|BASH_ENV|ENV|BASH_FUNC_.*)\+?=")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ksh", "zsh", "ash", "busybox", "fish"})
_INTERPRETERS: Final = {
    **dict.fromkeys(_SHELLS, "c"),
    **dict.fromkeys(("su", "runuser", "script", "flock"), "c"),
    "python": "c",
    "perl": "eE",
    "ruby": "e",
    "node": "ep",
    "php": "r",
    "lua": "e",
}
"""Programs, and the options whose argument they run."""
_READ_CODE: Final = frozenset(_INTERPRETERS) - {"script", "flock"} | {"at", "batch"}
"""Programs that run what they read where no file is named."""
_AWKS: Final = frozenset({"awk", "gawk", "mawk", "nawk"})
_COMPARISONS: Final = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[.*\])?\+?=", re.DOTALL)
_DECLARES_INTEGERS: Final = re.compile(r"\b(?:declare|typeset|local|readonly|export)\b[^\n;|&]*\s-[a-zA-Z]*i")


class Word:
    """A word of a command, without its quotes."""

    __slots__ = ("elements", "plain", "text", "values")

    def __init__(self, text: str, plain: bool = True) -> None:
        self.text = text
        self.plain = plain
        """Whether nothing of it was quoted."""
        self.values: list[int] = []
        self.elements: list[int] = []
        """Values in a list in brackets, `name=(…)`."""

    @property
    def name(self) -> str:
        """The text as a command's name: what may expand to nothing is left out."""
        return self.text.replace(EXPANDED, "")

    @property
    def may_be_another(self) -> bool:
        """Whether bash may put other words in its place: file names for a pattern, several for braces."""
        return self.text != "[" and any(c in "*?[{" for c in self.text)

    @property
    def begins_with_value(self) -> bool:
        """Whether a value decides if it is an option or an operator."""
        return self.text.startswith(VALUE)


class Command:
    """A simple command: its words, and the values in what it is fed."""

    __slots__ = ("closed", "fed", "words")

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.fed: list[int] = []
        """Values in its here-documents and here-strings."""
        self.closed = False
        """Whether it is a compound command that has ended."""

    @property
    def is_empty(self) -> bool:
        """Whether a command's first word may still come."""
        return not self.words and not self.closed

    @property
    def takes_assignments(self) -> bool:
        """Whether the next word may be an assignment."""
        if self.closed:
            return False
        rest = self.invocation()
        return not rest or rest[0].name in _DECLARATIONS

    def invocation(self) -> list[Word]:
        """Return the words from the command's name on.

        Left out are assignments, words that may expand to nothing, and what
        only changes how a command is looked up.
        """
        words = list(self.words)
        while words:
            text = words[0].text
            if text in ("command", "builtin", "exec"):
                words.pop(0)
                while words and words[0].text.startswith("-"):
                    words.pop(0)
            elif _ASSIGNMENT.match(text) or (text and not text.strip(EXPANDED)):
                words.pop(0)
            else:
                break
        return words

    @property
    def values(self) -> Iterator[int]:
        """All values in it."""
        for word in self.words:
            yield from word.values
            yield from word.elements
        yield from self.fed


class Judge:
    """Tells which values of a script would be run, and which must be numbers.

    Args:
        script: the whole script: what it declares somewhere holds everywhere.
        refuse: is told which values cannot be bound.
        compute: is told which values bash computes with.
    """

    def __init__(self, script: str, refuse: Report, compute: Callable[[int], None]) -> None:
        self._script = script
        self._refuse = refuse
        self._compute = compute
        self._has_integers = _DECLARES_INTEGERS.search(script) is not None

    def command(self, command: Command) -> None:
        """Judge a simple command by its words."""
        for word in command.words:
            if not _ASSIGNMENT.match(word.text):
                break
            self._assignment(word)
        words = command.invocation()
        if not words:
            return
        name, arguments = words[0].name, words[1:]
        if words[0].may_be_another:
            self._all(words, "a pattern in the place of a command's name: bash may put any in its place")
        elif name in _DECLARATIONS:
            self._declaration(name, arguments)
        elif name == "let":
            self._computed(arguments)
        elif name in _TAKE_CODE:
            self._all(arguments, f"'{name}' would run the value as code")
        elif name in _TAKE_NAMES:
            self._all(arguments, f"'{name}' would take the value for a variable's name, and evaluate it")
        elif name == "printf":
            self._printf(arguments)
        elif name in ("test", "["):
            self._test(arguments)
        self._programs(command)

    def fed(self, command: Command) -> None:
        """Judge what stands in the here-documents and here-strings of a command."""
        if command.fed and (name := _reads_code(command)):
            self._refuse_values(
                command.fed, f"'{name}' would run the value as code, since it reads its script here"
            )

    def pipeline(self, commands: Sequence[Command], so_far: range) -> None:
        """Judge what flows into a program that runs what it reads.

        Args:
            commands: joined by `|`.
            so_far: all values up to here: any may be what a compound command prints.
        """
        for at in range(len(commands) - 1, 0, -1):
            if name := _reads_code(commands[at]):
                why = f"'{name}' would run what this command prints"
                for command in commands[:at]:
                    self._refuse_values(so_far if command.closed else command.values, why)
                return

    def condition(self, words: Sequence[Word]) -> None:
        """Judge the inside of `[[ ]]`."""
        for at, word in enumerate(words):
            if word.text in _COMPARISONS:
                self._computed(words[max(0, at - 1) : at + 2])
            elif word.text in ("-v", "-R"):
                self._all(
                    words[at + 1 : at + 2], f"'{word.text}' would evaluate the value as a variable's name"
                )

    def _refuse_values(self, values: Iterable[int], why: str) -> None:
        for index in values:
            self._refuse(index, why)

    def _all(self, words: Sequence[Word], why: str) -> None:
        for word in words:
            self._refuse_values([*word.values, *word.elements], why)

    def _computed(self, words: Sequence[Word]) -> None:
        for word in words:
            for index in (*word.values, *word.elements):
                self._compute(index)

    def _assignment(self, word: Word) -> None:
        if match := _EVALUATED_VARIABLES.match(word.text):
            self._all([word], f"bash runs what is in '{match[1]}'")
        if self._has_integers:
            self._computed([word])

    def _declaration(self, name: str, words: Sequence[Word]) -> None:
        options = "".join(word.text for word in words if word.text[:1] in "-+")
        for word in words:
            target, equals, _ = word.text.partition("=")
            if VALUE in target or (word.values and not equals):
                self._all([word], f"'{name}' would take the value for a variable's name, and evaluate it")
            elif "n" in options:
                self._all([word], f"'{name} -n' would make the value a variable's name")
            elif word.values and ("a" in options or "A" in options or self._may_be_list(target)):
                self._all(
                    [word], f"'{name}' reads a list from the value, and runs what is in it: assign it alone"
                )
            elif "i" in options:
                self._computed([word])
            else:
                self._assignment(word)

    def _may_be_list(self, name: str) -> bool:
        name = re.escape(name.rstrip("+").partition("[")[0])
        pattern = (
            rf"\b{name}(\+?=\(|\[)"
            rf"|-[a-zA-Z]*[aA][a-zA-Z]*\s[^;\n]*\b{name}\b"
            rf"|\b(mapfile|readarray|coproc)\b[^;\n]*\b{name}\b"
        )
        return re.search(pattern, self._script) is not None

    def _printf(self, words: Sequence[Word]) -> None:
        for at, word in enumerate(words):
            if word.text == "-v":
                self._all(words[at + 1 : at + 2], "'printf -v' would evaluate the value as a variable's name")
            elif word.text.startswith("-v"):
                self._all([word], "'printf -v' would evaluate the value as a variable's name")
        if words and words[0].begins_with_value:
            self._all(
                words[:1], "'printf' would take the value for an option or a format: write 'printf %s' first"
            )

    def _test(self, words: Sequence[Word]) -> None:
        for word, after in itertools.pairwise(words):
            if word.text in ("-v", "-R"):
                self._all([after], f"'{word.text}' would evaluate the value as a variable's name")
            elif word.begins_with_value and after.values:
                self._all(
                    [word, after], "a value in the place of an operator: bash would evaluate the next one"
                )

    def _programs(self, command: Command) -> None:
        """Judge the arguments of programs that run text, wherever they stand (`sudo`, `find -exec`, …)."""
        words = command.words
        for at, word in enumerate(words):
            program = _program(word.name)
            if program in _INTERPRETERS:
                self._interpreter(program, words[at + 1 :])
            elif program in _AWKS and not any(later.text[:2] == "-f" for later in words[at + 1 :]):
                self._operands(words[at + 1 :], "vFf", program, slice(0, 1))
            elif program == "ssh":
                self._operands(words[at + 1 :], "BbcDEeFIiJLlmOopQRSWw", program, slice(1, None))

    def _interpreter(self, program: str, words: Sequence[Word]) -> None:
        why = f"'{program}' would run the value as code"
        codes = _INTERPRETERS[program]
        for at, word in enumerate(words):
            option = word.text
            if option == "--" or not option.startswith(("-", "+", VALUE)):
                return
            if word.begins_with_value:
                if any(later.values for later in words[at + 1 :]):
                    self._all(words[at:], f"{why} if this one is '-{codes[0]}'; write '--' before it")
                return
            if not option.startswith("--") and any(code in option for code in codes):
                self._all(words[at : at + 2], why)

    def _operands(self, words: Sequence[Word], with_argument: str, program: str, which: slice) -> None:
        """Refuse values in some of a program's operands, which are those behind its options."""
        rest = list(words)
        while rest and rest[0].text.startswith("-") and rest[0].text != "-":
            option = rest.pop(0).text
            if option == "--":
                break
            if len(option) == 2 and option[1] in with_argument and rest:
                rest.pop(0)
        self._all(rest[which], f"'{program}' would run the value as code")


def _program(word: str) -> str:
    """Return a program's name without folder and version: `/usr/bin/python3.11` → `python`."""
    name = word.rpartition("/")[2]
    return (
        re.sub(r"[0-9.]+$", "", name) if name.startswith(("python", "lua", "ruby", "perl", "php")) else name
    )


def _reads_code(command: Command) -> str | None:
    """Return the program of a command that runs what it reads from standard input, if there is one."""
    for at, word in enumerate(command.words):
        program = _program(word.name)
        if program in _READ_CODE and not _has_script(program, command.words[at + 1 :]):
            return program
        if program in (".", "source") and any(w.text == "/dev/stdin" for w in command.words[at + 1 :]):
            return program
        if program == "ssh":
            return program
    return None


def _has_script(program: str, words: Sequence[Word]) -> bool:
    """Tell whether a program is given what to run, so that it does not read it."""
    codes = _INTERPRETERS.get(program, "")
    for word in words:
        text = word.text
        if text in ("-", "-s", "/dev/stdin") or text.startswith("/dev/fd/"):
            return False
        if not text.startswith(("-", "+")):
            return True
        if text == "-m" or (not text.startswith("--") and any(code in text for code in codes)):
            return True
    return False
