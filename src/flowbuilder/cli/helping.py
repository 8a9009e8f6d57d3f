"""Help pages, made from what commands declare."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from flowbuilder.cli import exits
from flowbuilder.cli.command import GROUPS, TABLE, command_of
from flowbuilder.cli.terminal import columns_of, is_rich, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.cli.command import Argument, Command, Option

_ABOUT = "Flows in YAML, compiled, run durably, and explained."
_INDENT = 2
_LONGEST_NAME = 28


class Page:
    """A page of help as it is written: headings, paragraphs, tables of two columns."""

    def __init__(self, *, coloured: bool, width: int) -> None:
        self._coloured = coloured
        self._width = width
        self._lines: list[str] = []

    def text(self) -> str:
        """Return the page."""
        return "\n".join(self._lines).strip("\n") + "\n"

    def heading(self, title: str) -> None:
        """Begin a section."""
        self._lines += ["", self._styled("1", title)]

    def paragraph(self, text: str, indent: int = 0) -> None:
        """Add prose, wrapped; blank lines in it part paragraphs."""
        for part in text.split("\n\n"):
            blank = " " * indent
            self._lines += textwrap.wrap(part, self._width, initial_indent=blank, subsequent_indent=blank)
            self._lines.append("")
        self._lines.pop()

    def code(self, line: str) -> None:
        """Add something to be typed, as it is."""
        self._lines.append(" " * _INDENT + self._styled("36", line))

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add names and what they mean, in two columns."""
        widest = min(max((len(name) for name, _ in rows), default=0), _LONGEST_NAME)
        column = _INDENT + widest + 3
        for name, meaning in rows:
            lines = textwrap.wrap(meaning, max(self._width - column, 24)) or [""]
            head = " " * _INDENT + self._styled("36", name)
            if len(name) > widest:
                self._lines.append(head)
                head = ""
            pad = column - (_INDENT + len(name) if head else 0)
            self._lines.append((head + " " * pad + lines[0]).rstrip())
            self._lines += [" " * column + line for line in lines[1:]]

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text


def show_help(name: str, *, asked: bool) -> int:
    """Print the help of a command, a group, or of all.

    Args:
        name: a command, a group, or "".
        asked: whether help was asked for; else a command was left out, which is a mistake.
    """
    stream = sys.stdout if asked else sys.stderr
    width = min(columns_of(stream), 100)
    page = Page(coloured=is_rich(stream), width=width)
    write_help(page, name)
    put(page.text(), stream)
    return exits.DONE if asked else exits.USAGE


def write_help(page: Page, name: str) -> None:
    """Write the help of a command, a group, or of all onto a page."""
    if not name:
        _overview(page)
    elif name in GROUPS:
        _group(page, name)
    else:
        _command(page, command_of(name))


def usage(command: Command) -> str:
    """Return a command's usage on one line, as people read it."""
    words = ["flowbuilder", command.name, *(_shown(argument) for argument in command.arguments)]
    words += [f"[{_named(option)}]{'…' if option.repeated else ''}" for option in command.options]
    return " ".join(words)


def option_names(option: Option) -> str:
    """Return how an option is written, with all its names."""
    return ", ".join(option.names) + (f" {option.value}" if option.value else "")


def option_meaning(option: Option) -> str:
    """Return what an option does, with its choices and default."""
    text = option.help
    if option.choices:
        text += f" ({', '.join(option.choices)})"
    if option.default:
        text += f"; {option.default} unless given"
    return text


def _overview(page: Page) -> None:
    page.paragraph(_ABOUT)
    page.heading("Usage")
    page.code("flowbuilder COMMAND [ARGUMENT]… [--help]")
    page.heading("Commands")
    page.rows([(name, command_of(name).summary) for name in TABLE if " " not in name])
    page.heading("Groups of commands; `flowbuilder GROUP --help` tells of each")
    page.rows([(group, f"{summary}: {_verbs(group)}") for group, summary in GROUPS.items()])
    page.heading("Exit codes")
    page.rows([(str(code), meaning) for code, meaning in exits.MEANINGS.items()])
    page.heading("To begin with")
    page.code("flowbuilder run FILE")
    page.code("flowbuilder run --help")


def _group(page: Page, group: str) -> None:
    page.paragraph(GROUPS[group] + ".")
    page.heading("Usage")
    page.code(f"flowbuilder {group} COMMAND [ARGUMENT]… [--help]")
    page.heading("Commands")
    page.rows(_members(group))


def _members(group: str) -> list[tuple[str, str]]:
    """Return the commands of a group, each with its summary."""
    return [(name, command_of(name).summary) for name in TABLE if name.startswith(group + " ")]


def _verbs(group: str) -> str:
    """Return what may stand behind a group's name."""
    return ", ".join(name.removeprefix(group + " ") for name, _ in _members(group))


def _command(page: Page, command: Command) -> None:
    page.paragraph(command.summary + ".")
    page.heading("Usage")
    page.paragraph(usage(command), _INDENT)
    if command.description:
        page.heading("About")
        page.paragraph(command.description, _INDENT)
    if command.arguments:
        page.heading("Arguments")
        page.rows([(argument.name, argument_meaning(argument)) for argument in command.arguments])
    page.heading("Options")
    options = [(option_names(option), option_meaning(option)) for option in command.options]
    page.rows([*options, ("-h, --help", "Show this help")])
    if command.examples:
        page.heading("Examples")
        for what, typed in command.examples:
            page.paragraph(what + ":", _INDENT)
            page.code("  " + typed)


def argument_meaning(argument: Argument) -> str:
    """Return what an argument is, with its choices."""
    return argument.help + (f" ({', '.join(argument.choices)})" if argument.choices else "")


def _shown(argument: Argument) -> str:
    return {
        "one": argument.name,
        "optional": f"[{argument.name}]",
        "any": f"[{argument.name}…]",
        "some": f"{argument.name}…",
    }[argument.count]


def _named(option: Option) -> str:
    return option.names[0] + (f" {option.value}" if option.value else "")
