"""An error as a value: what flows see of what went wrong, and journals keep."""

from __future__ import annotations

from typing import Any

Error = dict[str, Any]
"""`kind`, `message`, `task`, `attempt`, `data`."""


def failure(kind: str, message: str, task: str | None = None, attempt: int = 0, data: Any = None) -> Error:
    """Return an error as a value; its texts can be written down, whatever an exception said.

    Args:
        kind: dotted, such as `http.503`.
        message: for people.
        task: the path of the task at fault.
        attempt: which attempt at it, from 1.
        data: a plain value.
    """
    return {
        "kind": writable(kind),
        "message": writable(message),
        "task": task,
        "attempt": attempt,
        "data": data,
    }


def writable(text: str) -> str:
    """Return a text without halves of characters, which no file and no database takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text
