"""Reading a bash script as far as one must to tell in which quotes each value stands.

A recursive descent over what bash's own parser tells apart: words, quotes,
expansions, substitutions, here-documents, arithmetic, `case`, `[[ ]]`,
arrays, comments.  It does not check scripts: what bash refuses may pass.
What it cannot follow is never guessed at; all values from there on are
problems.  Start reading at `script.py`; each layer below knows less of bash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.shellscan.cursor import Place, Scanned, ScriptProblem, Style
from flowbuilder.core.shellscan.script import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Place", "Scanned", "ScriptProblem", "Style", "scan"]


def scan(parts: Sequence[str | None]) -> Scanned:
    """Return where each value of a script stands.

    Args:
        parts: the script; None stands for a value.
    """
    scanner = Script(parts)
    scanner.scan()
    problems = [ScriptProblem(index, what) for index, what in sorted(scanner.problems.items())]
    return Scanned(tuple(scanner.places), tuple(problems))
