"""Redirections, and here-documents with the bodies that follow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flowbuilder.core.shellcode import EXPANDED, VALUE, Command
from flowbuilder.core.shellscan.cursor import Document, Lost
from flowbuilder.core.shellscan.words import Words

if TYPE_CHECKING:
    from flowbuilder.core.shellcode import Command

_REDIRECTION: Final = re.compile(r"&>>|&>|<<<|<<-|<<|>>|>\||>&|<&|<>|<|>")


class Redirections(Words):
    """Reads redirections."""

    def redirection(self, command: Command, pipeline: list[Command]) -> None:
        """Read a redirection and where it goes."""
        match = _REDIRECTION.match(self.text, self.at, self.limit)
        if match is None:
            raise Lost("a redirection cannot be read")
        operator = self.take(match.end() - self.at)
        self.blanks()
        start = self.at
        word = self.word()
        if self.at == start:
            raise Lost("a redirection goes nowhere")
        if operator == "<<<":
            command.fed += word.values
        elif operator in ("<<", "<<-"):
            source = self.text[start : self.at]
            if word.values or EXPANDED in word.text:
                raise Lost("the end of a here-document is named by a value")
            quoted = any(c in source for c in "'\"\\")
            self.documents.append(Document(command, pipeline, word.text, quoted, operator == "<<-"))

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

    def body_end(self, document: Document) -> tuple[int, int]:
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
        raise Lost(f"the here-document '{document.delimiter}' is never ended")

    def quoted_body_part(self, end: int) -> None:
        """Read one character of a body that is taken as it is."""
        if self.peek() == VALUE:
            self.problem(
                self.value("quoted"),
                "in a here-document whose end is quoted bash expands nothing; unquote it, or use another place",
            )
        else:
            position = self.text.find(VALUE, self.at, end)
            self.take((end if position < 0 else position) - self.at)

    def judge_pipeline(self, pipeline: list[Command]) -> None:
        """Look at what the commands of a pipeline make of the values that they are given."""
        for command in pipeline:
            self.judge.fed(command)
        self.judge.pipeline(pipeline, range(len(self.places)))
