"""What an author's function raised, as an error of its task."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import ExpressionError, OutputError, TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.tasks.api import Call

MESSAGE_CHARACTERS: Final = 10_000
TRACEBACK_CHARACTERS: Final = 50_000

CAUGHT: Final = (Exception, SystemExit)
"""What is the task's own failure.  `SystemExit` too: a function that calls `sys.exit` ends itself, not the
engine.  Everything else (a cancel, a Ctrl-C) goes through."""


def as_failure(
    error: BaseException, call: Call, function: Callable[..., object] | None = None
) -> BaseException:
    """Return the error with which a task fails; the traceback of an unforeseen one goes to the task's log."""
    if isinstance(error, TaskFailed | ExpressionError | OutputError):
        return error
    call.log("error", traceback_of(error, function), None)
    return TaskFailed(kind_of(error), message_of(error))


def kind_of(error: BaseException) -> str:
    """Return the kind: `python.ValueError`."""
    return f"python.{type(error).__name__}"


def message_of(error: BaseException) -> str:
    """Return the message, as far as the exception can say it."""
    try:
        return str(error)[:MESSAGE_CHARACTERS]
    except Exception:  # its author's __str__ may raise anything
        return f"a {type(error).__name__} whose message cannot be made"


def traceback_of(error: BaseException, function: Callable[..., object] | None = None) -> str:
    """Return the traceback as text, from the author's function on."""
    code = getattr(function, "__code__", None)
    start = error.__traceback__
    while start is not None and code is not None and start.tb_frame.f_code is not code:
        start = start.tb_next
    try:
        lines = traceback.format_exception(type(error), error, start or error.__traceback__)
    except Exception:  # as above
        return f"{type(error).__name__}: its traceback cannot be made"
    text = "".join(lines).rstrip()
    return text if len(text) <= TRACEBACK_CHARACTERS else "…" + text[-TRACEBACK_CHARACTERS:]
