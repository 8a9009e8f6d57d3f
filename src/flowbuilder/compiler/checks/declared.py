"""Names that exist, for checks that offer the nearest one for a name that does not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings

_MOST: Final = 100


class Declared(Collection[str]):
    """Names, of which a search for near misses sees few.

    Whoever finds a name missing goes on to compare it with all names, which
    takes 0.1 s for a thousand.  So iterating yields at most a hundred names,
    such as resemble the one that was last looked for and not found; and none
    once enough near misses were looked for in this flow.
    """

    __slots__ = ("_findings", "_missed", "_names")

    def __init__(self, names: Collection[str], findings: Findings) -> None:
        self._names = names
        self._findings = findings
        self._missed = ""

    def __contains__(self, name: object) -> bool:
        if name in self._names:
            return True
        self._missed = str(name)
        return False

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        if self._findings.near_misses <= 0 or len(self._missed) > _MOST:
            return iter(())
        self._findings.near_misses -= 1
        return islice(filter(self._resembles, self._names), _MOST)

    def _resembles(self, name: str) -> bool:
        missed = self._missed
        if abs(len(name) - len(missed)) > 3:
            return False
        if len(self._names) > _MOST and name[:2] != missed[:2] and name[-2:] != missed[-2:]:
            return False
        return self._findings.pays_for(name, missed)
