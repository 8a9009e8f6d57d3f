"""What tasks that wait are given, read: names, counts, durations."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.matching import is_event_name
from flowbuilder.runtime.waits import seconds_of


def name_of(value: Any) -> str:
    """Return the name of an event or a signal.

    Raises:
        ExpressionError: it is none.
    """
    if is_event_name(value):
        return str(value)
    kind = type(value).__name__ if type(value) is not str else f"'{value[:60]}'"
    raise ExpressionError(
        "expression.value", f"a name is made of words with dots between them, and this is {kind}"
    )


def whole(value: Any, what: str, most: int) -> int:
    """Return a count."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 1 <= value <= most:
        raise ExpressionError("expression.value", f"'{what}' is a whole number from 1 to {most:,}")
    return value


def seconds_or_none(value: Any, what: str) -> float | None:
    """Return a duration in seconds; None where there is none."""
    if value is None:
        return None
    seconds = seconds_of(value, what)
    if seconds < 0 or seconds > 100 * 366 * 86400:
        raise ExpressionError("expression.value", f"'{what}' is no duration that can be waited for")
    return seconds


def moment(at: float) -> dt.datetime:
    """Return an instant as a value of a flow."""
    return dt.datetime.fromtimestamp(at, dt.UTC)
