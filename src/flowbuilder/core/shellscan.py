"""Reading a bash script as far as one must to tell in which quotes each value stands.

A recursive descent over what bash's own parser tells apart: words, quotes,
expansions, substitutions, here-documents, arithmetic, `case`, `[[ ]]`,
arrays, comments.  It does not check scripts: what bash refuses may pass.
What it cannot follow is never guessed at; all values from there on are
problems.  Start reading at `_Scanner.commands`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from flowbuilder.core.shellcode import EXPANDED, VALUE, Command, Judge, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Style = Literal["bare", "quoted", "single", "ansi", "number", "comment"]

_DEEPEST: Final = 50
_BLANKS: Final = " \t"
_METACHARACTERS: Final = " \t\n;&|<>()"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARRAY_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[.*\])?\+?=", re.DOTALL)
_PARAMETER: Final = re.compile(r"[!#]?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*?$!#-])|[!#]")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_OPERATOR: Final = re.compile(r":[-=?+]|##?|%%?|//?|\^\^?|,,?|[-=?+]|:|[@*][A-Za-z]?|")
_REDIRECTION: Final = re.compile(r"&>>|&>|<<<|<<-|<<|>>|>\||>&|<&|<>|<|>")
_NO_ARGUMENTS: Final = re.compile(r"\([ \t]*\)")
_ESAC: Final = re.compile(r"esac(?![^\s;&|<>()])")
_TRANSPARENT: Final = frozenset(
    {"if", "then", "else", "elif", "while", "until", "do", "{", "!", "time", "coproc"}
)
"""Reserved words behind which a command begins."""


class ScriptProblem(msgspec.Struct, frozen=True):
    """A value that cannot be bound."""

    index: int
    """The placeholder's number, from 0."""
    what: str
    hint: str = 'give the value by `env: {NAME: ${{ … }}}` and write "$NAME" in the script'


class Place:
    """Where a value stands."""

    __slots__ = ("integer", "style")

    def __init__(self, style: Style, integer: bool) -> None:
        self.style = style
        self.integer = integer
        """Whether bash computes with it."""


class Scanned(msgspec.Struct, frozen=True):
    """Where each value stands, and what is wrong with some."""

    places: tuple[Place, ...]
    problems: tuple[ScriptProblem, ...]


class _Lost(Exception):
    """The scanner cannot tell any more where it is."""


def scan(parts: Sequence[str | None]) -> Scanned:
    """Return where each value of a script stands.

    Args:
        parts: the script; None stands for a value.
    """
    scanner = _Scanner(parts)
    scanner.scan()
    problems = [ScriptProblem(index, what) for index, what in sorted(scanner.problems.items())]
    return Scanned(tuple(scanner.places), tuple(problems))


class _Document:
    """A here-document whose body is still to come."""

    __slots__ = ("command", "delimiter", "pipeline", "quoted", "tabs")

    def __init__(
        self, command: Command, pipeline: list[Command], delimiter: str, quoted: bool, tabs: bool
    ) -> None:
        self.command = command
        self.pipeline = pipeline
        """The command's own, which is whole by the time the body is read."""
        self.delimiter = delimiter
        self.quoted = quoted
        self.tabs = tabs


class _Scanner:
    def __init__(self, parts: Sequence[str | None]) -> None:
        self.foreign = any(VALUE in part or EXPANDED in part for part in parts if part)
        self.text = "".join(VALUE if part is None else part.replace(VALUE, " ") for part in parts)
        self.count = sum(part is None for part in parts)
        self.at = 0
        self.limit = len(self.text)
        self.places: list[Place] = []
        """Of the values up to `at`: they are read in order."""
        self.sure = 0
        """How many of them stand in commands that were read to their ends."""
        self.problems: dict[int, str] = {}
        self.judge = Judge(self.text, self.problem, self.must_compute)
        self.documents: list[_Document] = []
        self.no_arithmetic: set[int] = set()
        """Where `((` has turned out to be two brackets: tried once, so that the time stays linear."""
        self.depth = 0
        self.computing = 0
        """How many arithmetic contexts are open: values in them must be whole numbers."""

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
            except _Lost as lost:
                line = self.text.count("\n", 0, self.at) + 1
                why = f"the place of this value cannot be told: {lost} (line {line} of the script)"
                del self.places[self.sure :]
        if why:
            self.problems |= {index: why for index in range(len(self.places), self.count)}

    # -- characters

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.text[at] if at < self.limit else ""

    def sees(self, text: str) -> bool:
        return self.text.startswith(text, self.at, self.limit)

    def take(self, count: int = 1) -> str:
        """Step over text and return it."""
        taken = self.text[self.at : min(self.at + count, self.limit)]
        self.at += len(taken)
        return taken

    def value(self, style: Style) -> int:
        """Step over a value, noting in which quotes it stands; return its number."""
        self.at += 1
        self.places.append(Place(style, self.computing > 0))
        return len(self.places) - 1

    def values_since(self, before: int) -> range:
        """Return the numbers of the values that were read since there were `before`."""
        return range(before, len(self.places))

    def must_compute(self, index: int) -> None:
        self.places[index].integer = True

    def problem(self, index: int, what: str) -> None:
        self.problems.setdefault(index, what)

    def blanks(self, also: str = "") -> None:
        """Pass over what separates words."""
        while (c := self.peek()) and (c in _BLANKS or c in also or self.sees("\\\n")):
            self.take(2 if c == "\\" else 1)

    def deeper(self, inner: Callable[[], object]) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Lost(f"brackets and quotes are more than {_DEEPEST} deep")
        inner()
        self.depth -= 1

    # -- commands

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
                raise _Lost("an 'esac' closes nothing")

    def operator(self, c: str, closer: str | None) -> str | None:
        """Step over an operator; return it if the commands end with it."""
        if not c:
            if closer is not None:
                raise _Lost("a bracket or a 'case' is never closed")
            return ""
        if c == "\n":
            self.take()
            self.bodies()
            return None
        if c == ")":
            if closer != ")":
                raise _Lost("a ')' closes nothing")
            return self.take()
        if closer == "case" and (self.sees(";;") or self.sees(";&")):
            return self.take(3 if self.sees(";;&") else 2)
        self.take(2 if self.text[self.at : self.at + 2] in ("&&", "||", "|&") else 1)
        return None

    def judge_pipeline(self, pipeline: list[Command]) -> None:
        for command in pipeline:
            self.judge.fed(command)
        self.judge.pipeline(pipeline, range(len(self.places)))

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
        raise _Lost("a '(' stands where no command begins")

    def next_word(self, command: Command) -> str:
        """Read one word of a command, or the whole construct that a reserved word opens; return the word."""
        begins = command.is_empty
        start = self.at
        word = self.word(assign=command.takes_assignments)
        if self.at == start:
            raise _Lost("a word cannot be read")
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

    def comment(self) -> None:
        """Read to the end of the line."""
        while (c := self.peek()) and c != "\n":
            if c == VALUE:
                self.value("comment")
            else:
                self.take()

    def case(self) -> None:
        """Read `case … esac` behind its first word."""
        self.blanks()
        self.word()
        self.blanks("\n")
        if self.word().text != "in":
            raise _Lost("a 'case' has no 'in'")
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
                raise _Lost("a clause of a 'case' cannot be read")
            else:
                self.word()

    def condition(self) -> None:
        """Read `[[ … ]]` behind its first word."""
        words: list[Word] = []
        while True:
            self.blanks("\n")
            c = self.peek()
            if not c:
                raise _Lost("a '[[' is never closed")
            if c in "()&|<>;":
                words.append(Word(self.take()))
                continue
            word = self.word(pattern=True, regex=bool(words) and words[-1].text == "=~")
            if word.plain and word.text == "]]":
                break
            words.append(word)
        self.judge.condition(words)

    # -- redirections and here-documents

    def redirection(self, command: Command, pipeline: list[Command]) -> None:
        """Read a redirection and where it goes."""
        match = _REDIRECTION.match(self.text, self.at, self.limit)
        if match is None:
            raise _Lost("a redirection cannot be read")
        operator = self.take(match.end() - self.at)
        self.blanks()
        start = self.at
        word = self.word()
        if self.at == start:
            raise _Lost("a redirection goes nowhere")
        if operator == "<<<":
            command.fed += word.values
        elif operator in ("<<", "<<-"):
            source = self.text[start : self.at]
            if word.values or EXPANDED in word.text:
                raise _Lost("the end of a here-document is named by a value")
            quoted = any(c in source for c in "'\"\\")
            self.documents.append(_Document(command, pipeline, word.text, quoted, operator == "<<-"))

    def bodies(self) -> None:
        """Read the bodies of the here-documents that were announced on the line that has ended."""
        documents, self.documents = self.documents, []
        for document in documents:
            end, after = self.body_end(document)
            before = len(self.places)
            if document.quoted:
                while self.at < end:
                    self.quoted_body_part(end)
            else:
                limit, self.limit = self.limit, end
                while self.at < end:
                    self.expanded_part("here")
                self.limit = limit
            self.at = after
            document.command.fed += self.values_since(before)
            self.judge_pipeline(document.pipeline)

    def body_end(self, document: _Document) -> tuple[int, int]:
        """Return where a body ends, and where the line behind it begins."""
        at = self.at
        joined = False
        while at < self.limit:
            newline = self.text.find("\n", at, self.limit)
            end = self.limit if newline < 0 else newline
            line = self.text[at:end]
            bare = line.lstrip("\t") if document.tabs else line
            if bare == document.delimiter and not joined:
                return at, end
            backslashes = len(line) - len(line.rstrip("\\"))
            joined = not document.quoted and backslashes % 2 == 1
            at = end + 1
        raise _Lost(f"the here-document '{document.delimiter}' is never ended")

    def quoted_body_part(self, end: int) -> None:
        if self.peek() == VALUE:
            self.problem(
                self.value("quoted"),
                "in a here-document whose end is quoted bash expands nothing; unquote it, or use another place",
            )
        else:
            position = self.text.find(VALUE, self.at, end)
            self.take((end if position < 0 else position) - self.at)

    # -- words

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
                raise _Lost("a list in brackets cannot be read")

    def glob(self, word: Word) -> None:
        """Read `(…|…)` of an extended pattern or of a regular expression."""
        word.text += self.take()
        while True:
            c = self.peek()
            if not c:
                raise _Lost("a bracket in a pattern is never closed")
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
        start, before = self.at, len(self.places)
        self.dollar("bare") if self.peek() == "$" else self.backtick()
        word.text += "$" if self.at == start + 1 else EXPANDED
        word.values += self.values_since(before)

    # -- quotes

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
        start = self.at
        self.take()
        while (c := self.peek()) != "'":
            if not c:
                self.at = start
                raise _Lost("a single quote is never closed")
            if c == VALUE:
                self.value("single")
            else:
                self.take()
        self.take()

    def ansi(self) -> None:
        start = self.at
        self.take(2)
        while (c := self.peek()) != "'":
            if not c:
                self.at = start
                raise _Lost("a single quote is never closed")
            if c == VALUE:
                self.value("ansi")
            elif c == "\\":
                self.escape()
            else:
                self.take()
        self.take()

    def double(self) -> None:
        start = self.at
        self.take()
        while (c := self.peek()) != '"':
            if not c:
                self.at = start
                raise _Lost("a double quote is never closed")
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

    # -- expansions

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
            raise _Lost("a here-document in a '$( )' begins on its last line")
        self.documents, self.computing = documents, computing
        self.computed_output(before)

    def computed_output(self, before: int) -> None:
        if self.computing:
            for index in self.values_since(before):
                self.problem(index, "bash computes with what this command prints, and the value may be in it")

    def backtick(self) -> None:
        """Read a substitution in backticks, whose end is found before its quotes are looked at."""
        end = self.at + 1
        while end < self.limit and self.text[end] != "`":
            end += 2 if self.text[end] == "\\" else 1
        if end >= self.limit:
            raise _Lost("a backtick is never closed")
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
            raise _Lost("a '${' is followed by no name")
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
                raise _Lost("a '${' cannot be read")
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
                raise _Lost("a '${' is never closed")
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
        for index in self.values_since(before):
            self.problem(index, "quotes in a '${ }' within quotes: their meaning cannot be told")

    # -- arithmetic

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
        except _Lost:
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
                raise _Lost("what bash is to compute is never closed")
            if c == closer[0] and depth == 0:
                if not self.sees(closer):
                    raise _Lost("a bracket is closed twice")
                self.take(len(closer))
                break
            depth += (c == opener) - (c == closer[0])
            self.arithmetic_part(c)
        self.computing -= 1

    def arithmetic_part(self, c: str) -> None:
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
