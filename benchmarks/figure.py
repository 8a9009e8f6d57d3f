"""What a benchmark yields: a figure, its floor, and what must be reached."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table.

    `value`, `reach` and `aim` are in the same unit, seconds unless `unit`
    says otherwise; `more` says that more is better.
    """

    what: str
    value: float
    reach: float
    aim: float
    floor: float | None = None
    """What the machine can do at best, measured in the same run and in the same unit."""
    floor_name: str = ""
    unit: str = "s"
    more: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure is what it must be."""
        return self.value >= self.reach if self.more else self.value <= self.reach

    def ratio(self) -> str:
        """Return how far the figure is from its floor."""
        if not self.floor:
            return "–"
        ratio = self.floor / self.value if self.more else self.value / self.floor
        return f"{ratio:.1f} ×"


def shown(value: float, unit: str) -> str:
    """Return a figure as people read it."""
    if unit != "s":
        return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    for limit, name in ((1e-3, "µs"), (1.0, "ms")):
        if value < limit:
            return f"{value / (limit / 1000):.3g} {name}"
    return f"{value:.3g} s"
