"""A task on its way to the representation: what it refers to is not yet linked."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from flowbuilder.compiler.expressions.references import task_references
from flowbuilder.compiler.expressions.tree import Const

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.nodes import Scalar

Wanted = Literal["output", "status"]
"""What is read of a task: its output, or only how it ended."""


@dataclasses.dataclass(slots=True)
class Mentions:
    """The tasks that expressions refer to, and what they read of each."""

    found: dict[str, Wanted] = dataclasses.field(default_factory=dict)

    def of(self, expr: Expr | None) -> None:
        """Add what an expression refers to."""
        if expr is not None and type(expr) is not Const:
            self.add(task_references(expr))

    def add(self, more: Mapping[str, Wanted]) -> None:
        """Add references; to read an output is more than to read a status."""
        for id, wanted in more.items():
            if self.found.get(id) != "output":
                self.found[id] = wanted


@dataclasses.dataclass(slots=True)
class Draft:
    """One task, complete but for what it waits for."""

    key: Scalar
    fields: dict[str, Any]
    """What `ir.Task` is made with."""
    needs: list[Scalar] | None
    mentions: Mentions
