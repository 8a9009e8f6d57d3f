"""A plan at a terminal: what it is stands out, what it costs stands back."""

from __future__ import annotations

import re
from typing import Final

_NODE: Final = re.compile(r"^( *(?:->  )?)(\S.*?)(  \(cost=[^)]*\))(.*)$")
_DETAIL: Final = re.compile(r"^( +)([A-Z][\w ]*:)( .*)$")
_LOUD: Final = {"Status: failed": "31", "Error:": "31", "Estimate:": "33", "Never runs:": "33"}


def coloured(plan: str) -> str:
    """Return a plan in text form with colours, its words and line breaks as they were."""
    return "\n".join(map(_line, plan.split("\n")))


def _line(line: str) -> str:
    if node := _NODE.match(line):
        lead, title, cost, actual = node.groups()
        return f"{lead}\x1b[1m{title}\x1b[0m\x1b[2m{cost}\x1b[0m" + (
            f"\x1b[36m{actual}\x1b[0m" if actual else ""
        )
    if detail := _DETAIL.match(line):
        lead, key, value = detail.groups()
        code = _LOUD.get(key) or _LOUD.get(key + value)
        return f"{lead}\x1b[2m{key}\x1b[0m" + (f"\x1b[{code}m{value}\x1b[0m" if code else value)
    return line
