"""Paths of rounds: which round of which loop something lies in.

The first round of `poll` has the path `poll` itself, the third `poll@3`; what
is inside follows: `build@3.compile`, `build@3#2.compile` in the second attempt
of that round.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = r"(?:@(\d+))?(?=[.#!]|$)"
"""Behind a task's path: its round, where something inside begins or the path ends."""
_ROUND = r"@\d+"


def round_path(path: str, round: int) -> str:
    """Return the path of a round of the task at `path`.

    Example:
        >>> round_path("poll", 1), round_path("poll", 3)
        ('poll', 'poll@3')
    """
    return path if round == 1 else f"{path}@{round}"


def without_rounds(path: str) -> str:
    """Return the path that a task has in the first rounds of all loops around it, which its author knows.

    Example:
        >>> without_rounds("build@3.poll@2~undo"), without_rounds("each[3]@2.c")
        ('build.poll~undo', 'each[3].c')
    """
    return re.sub(_ROUND, "", path) if "@" in path else path


def is_superseded(path: str, kept: Mapping[str, int]) -> bool:
    """Tell whether a path lies in a round that nobody needs any more.

    Args:
        path: of a task, or of a round.
        kept: for each loop, by the path of its task, the first round that is still needed.

    Example:
        >>> kept = {"build": 3}
        >>> [is_superseded(p, kept) for p in ("build.a", "build@2.a", "build@3.a", "build", "built@1.a")]
        [True, True, False, False, False]
    """
    for step in re.finditer(_STEP, path):
        place = step.start()
        first = kept.get(path[:place])
        if first is None:
            continue
        number = step[1]
        if number is not None:
            if int(number) < first:
                return True
        elif first > 1 and place < len(path) and path[place] != "!":
            # inside of the first round; `poll` itself is the task, and `poll!…` what is done instead of it
            return True
    return False


def loops_around(path: str) -> list[str]:
    """Return the paths of all tasks around a path, itself among them, that may be loops.

    Example:
        >>> loops_around("build@3.poll@2")
        ['build', 'build@3', 'build@3.poll', 'build@3.poll@2']
    """
    found = [path[: step.start()] for step in re.finditer(_STEP, path)]
    return list(dict.fromkeys(found))
