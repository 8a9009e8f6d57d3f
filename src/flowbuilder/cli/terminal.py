"""Where output goes: data to standard output, all else to standard error.

Colour, tables with lines and progress are for people at a terminal; with
`NO_COLOR`, through a pipe or on a dumb terminal everything is plain text.
Rich is imported only where it draws something.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


def prepare_streams() -> None:
    """Make the standard streams fit to be written to, whatever the command was started with.

    One that is closed (`>&-`) leads nowhere from now on: otherwise the next
    file that is opened would get its number.  One without a buffer, as
    `PYTHONUNBUFFERED` asks for, gets one: Python forgets what is left of a
    write that a signal cuts short.  Data is UTF-8 in every locale.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number, which is free
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 it is for the whole process
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if isinstance(getattr(stream, "buffer", None), io.RawIOBase):
            buffering = 1 if number == 2 or stream.isatty() else -1
            buffered = open(number, "w", buffering, stream.encoding, stream.errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, buffered)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and sys.stdout.encoding != "utf-8":
        reconfigure(encoding="utf-8")


def is_rich(stream: TextIO) -> bool:
    """Tell whether colour and progress are welcome on a stream."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # the stream is closed
        return False


def columns_of(stream: TextIO) -> int:
    """Return how many characters a line of a stream has room for; 80 where that cannot be told."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def console(stream: TextIO) -> Console:
    """Return a console that draws on a stream; for streams that are rich."""
    from rich.console import Console  # start-up time: plain output never needs it

    return Console(file=stream, highlight=False, soft_wrap=False)


def data(text: str) -> None:
    """Print what was asked for."""
    put(text if text.endswith("\n") or not text else text + "\n", sys.stdout)


def flush_data() -> None:
    """Hand on what was printed.

    Raises:
        BrokenPipeError: whoever read it has left.
        OSError: it cannot be written; says where.
    """
    with _written():
        sys.stdout.flush()


def say(text: str = "") -> None:
    """Tell the user something that is no data."""
    put(text + "\n", sys.stderr)


def put(text: str, stream: TextIO) -> None:
    """Write on a stream; nothing hangs on whether somebody reads standard error."""
    if stream is not sys.stderr:
        with _written():
            stream.write(text)
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        # the other end is gone, as that of `2>&1 | tee` is after Ctrl-C: a cancel must go on all the same
        lead_nowhere(stream)


def lead_nowhere(stream: TextIO) -> None:
    """Let what is still in a stream's buffer, and all that is written from now on, vanish."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """Say of an error that it is standard output that could not be written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        lead_nowhere(sys.stdout)
        raise OSError(error.errno, error.strerror, "standard output") from None


def complain(message: str, hint: str = "") -> None:
    """Say what went wrong, and how to put it right."""
    head, tail = ("\x1b[1;31m", "\x1b[0m") if is_rich(sys.stderr) else ("", "")
    say(f"{head}error:{tail} {message}")
    if hint:
        say(f"  = {hint}")
