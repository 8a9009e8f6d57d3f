"""What people see of loops: how many rounds there were, and the last of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.core.rounds import round_path
from flowbuilder.core.rules import SUCCEEDED
from flowbuilder.core.sealed import shown
from flowbuilder.runtime.recovered import output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbuilder.runtime.recovered import Recovered, Rounds

SHOWN = 20
"""Rounds of a loop that a view has, the last ones; their records are its history."""


def history_of(rounds: Rounds, blob: Callable[[str], bytes]) -> list[dict[str, Any]]:
    """Return the last rounds of a loop, oldest first."""
    return [
        {
            "round": record.round,
            "started_at": record.started_at,
            "duration": record.ended_at - record.started_at,
            "attempts": record.attempts,
            "output": shown(output_of(record, blob)),
        }
        for record, _ in rounds.recent[-SHOWN:]
    ]


def _has_more(path: str, number: int, recovered: Recovered) -> bool:
    """Tell whether a round behind the last that ended well has begun, or may have."""
    ended = recovered.ended.get(path)
    if ended is None or ended.code == SUCCEEDED:
        return ended is None
    inside = f"{round_path(path, number)}."
    return any(known.startswith(inside) for known in recovered.ended)


def present_path(path: str, recovered: Recovered, live: Mapping[str, int]) -> str:
    """Return where a task inside of loops stands: its path with the round that each loop around it is in.

    Args:
        path: without rounds: `build.compile`.
        recovered: what the journal says.
        live: the rounds of loops that are in memory, by the path of their task.
    """
    if not recovered.rounds and not live:
        return path
    found, rest = "", path
    while (cut := rest.find(".")) >= 0:
        found += rest[:cut]
        rounds = recovered.rounds.get(found)
        number = live.get(found)
        if number is None and rounds is not None:
            number = rounds.round + _has_more(found, rounds.round + 1, recovered)
        if number is not None:
            found = round_path(found, number)
        found += rest[cut]
        rest = rest[cut + 1 :]
    return found + rest
