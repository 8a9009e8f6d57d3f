"""Arguments, read as a command declares them."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NoReturn

from flowbuilder.core.durations import parse_duration
from flowbuilder.core.errors import FlowBuilderError

if TYPE_CHECKING:
    from flowbuilder.cli.command import Argument, Command, Option

_NEAR: Final = 0.7
_UNKNOWN: Final = "unrecognized arguments: "
_COUNTS: Final = {"one": None, "optional": "?", "any": "*", "some": "+"}


class UsageError(FlowBuilderError):
    """A command was given wrongly; `command` is the one whose help to read."""

    def __init__(self, message: str, command: str = "", hint: str = "") -> None:
        super().__init__(message, command, hint)
        self.message = message
        self.command = command
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class _Parser(argparse.ArgumentParser):
    """Argparse without its own way of printing and leaving."""

    command: Command

    def error(self, message: str) -> NoReturn:
        hint = _near_options(message, self.command)
        if message.startswith(_UNKNOWN + "-"):
            word = message.removeprefix(_UNKNOWN).split()[0].partition("=")[0]
            message = f"there is no option '{word}'"
        raise UsageError(message, self.command.name, hint)


def parse(command: Command, words: list[str]) -> argparse.Namespace:
    """Return the values of a command's arguments and options.

    Raises:
        UsageError: says what is wrong and, for a misspelt option, which is meant.
    """
    parser = _Parser(prog=f"flowbuilder {command.name}", add_help=False, allow_abbrev=False)
    parser.command = command
    for argument in command.arguments:
        _add_argument(parser, argument)
    for option in command.options:
        _add_option(parser, option)
    return parser.parse_intermixed_args(words)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the name that somebody may have meant, as a hint; empty where none is near."""
    import difflib  # start-up time: only for a misspelt name

    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean '{close[0]}'?" if close else ""


def _add_argument(parser: _Parser, argument: Argument) -> None:
    name = argument.name.lower()
    nargs = _COUNTS[argument.count]
    choices = argument.choices or None
    # argparse takes what may be absent for required, and says so, unless it has a default
    default: list[str] | None = [] if argument.count == "any" else None
    parser.add_argument(
        name,
        nargs=nargs,
        metavar=argument.name,
        choices=choices,
        type=_reader(argument.takes),
        default=default,
    )


def _add_option(parser: _Parser, option: Option) -> None:
    if option.value is None:
        parser.add_argument(*option.names, dest=option.field, action="store_true")
        return
    parser.add_argument(
        *option.names,
        dest=option.field,
        metavar=option.value,
        action="append" if option.repeated else "store",
        default=[] if option.repeated else option.default,
        choices=option.choices or None,
        type=_reader(option.takes),
    )


def _reader(takes: str) -> Callable[[str], object]:
    if takes == "integer":
        return _integer
    if takes == "duration":
        return _duration
    if takes == "moment":
        return _moment
    return str


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _moment(text: str) -> float:
    with contextlib.suppress(ValueError):
        return time.time() - parse_duration(text)
    try:
        return dt.datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        message = f"'{text}' is no moment: write how long ago (2h), or a date and time (2026-01-05T06:00)"
        raise argparse.ArgumentTypeError(message) from None


def _near_options(message: str, command: Command) -> str:
    if not message.startswith(_UNKNOWN):
        return ""
    known = {name.lstrip("-"): name for option in command.options for name in option.names}
    import difflib  # start-up time: only where something is misspelt

    words = message.removeprefix(_UNKNOWN).split()
    for word in words:
        # without the dashes, which are alike in all of them
        meant = word.partition("=")[0].lstrip("-")
        if word.startswith("-") and (close := difflib.get_close_matches(meant, known, 1, _NEAR)):
            return f"did you mean '{known[close[0]]}'?"
    if words[0].startswith("-") and known:
        return f"it has {', '.join(option.names[0] for option in command.options)}"
    return ""
