"""Where output goes: data to standard output, all else to standard error.

Colour, tables with lines and progress are for people at a terminal; with
`NO_COLOR`, through a pipe or on a dumb terminal everything is plain text.
Rich is imported only where it draws something.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def is_rich(stream: TextIO) -> bool:
    """Tell whether colour and progress are welcome on a stream."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # the stream is closed
        return False


def console(stream: TextIO) -> Console:
    """Return a console that draws on a stream; for streams that are rich."""
    from rich.console import Console  # start-up time: plain output never needs it

    return Console(file=stream, highlight=False, soft_wrap=False)


def data(text: str) -> None:
    """Print what was asked for."""
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")


def say(text: str = "") -> None:
    """Tell the user something that is no data."""
    sys.stderr.write(text + "\n")


def say_marked(markup: str, plain: str) -> None:
    """Tell the user something, in colours where they are welcome."""
    if is_rich(sys.stderr):
        console(sys.stderr).print(markup)
    else:
        say(plain)


def complain(message: str, hint: str = "") -> None:
    """Say what went wrong, and how to put it right."""
    head, tail = ("\x1b[1;31m", "\x1b[0m") if is_rich(sys.stderr) else ("", "")
    say(f"{head}error:{tail} {message}")
    if hint:
        say(f"  = {hint}")
