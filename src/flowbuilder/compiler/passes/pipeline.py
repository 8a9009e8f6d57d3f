"""The optimizer: its passes in order, and what carries them out.

Passes may be left out, any of them, without changing what a flow does; they
do not know each other.  Start reading at `PASSES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from flowbuilder.compiler.ir import Flow, SubFlow, Task
from flowbuilder.compiler.passes.drop_unused import drop_unused
from flowbuilder.compiler.passes.fold_constants import fold_constants
from flowbuilder.compiler.passes.fuse_tasks import fuse_tasks
from flowbuilder.compiler.passes.graphs import all_tasks, rewrite_tasks
from flowbuilder.compiler.passes.notes import Note, Rewritten
from flowbuilder.compiler.passes.prune_branches import prune_branches
from flowbuilder.compiler.passes.share_subexpressions import share_subexpressions

if TYPE_CHECKING:
    from flowbuilder.core.diagnostics import Diagnostic

Pass = Callable[[Flow], Rewritten]
"""A rewrite of a flow that keeps what the flow does and changes what it costs."""

PASSES: tuple[Pass, ...] = (
    fold_constants,
    prune_branches,
    drop_unused,
    fuse_tasks,
    share_subexpressions,  # last: shares inside regions
)


class Optimized(msgspec.Struct, frozen=True):
    """A flow as the optimizer leaves it, and what each pass did."""

    flow: Flow
    notes: tuple[Note, ...] = ()

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the author should hear of."""
        return tuple(note.warning for note in self.notes if note.warning is not None)


def optimize(flow: Flow, passes: Sequence[Pass] = PASSES) -> Optimized:
    """Return the flow after all passes, its constant sub-flows too.

    Deterministic, and a second go changes nothing more.  Notes are of the
    flow itself; those of a sub-flow are made when it is explained.
    """
    return _optimize(flow, passes, {})


def _optimize(flow: Flow, passes: Sequence[Pass], done: dict[int, Flow]) -> Optimized:
    notes: list[Note] = []
    if any(type(task.work) is SubFlow and task.work.flow for _, task in all_tasks(flow)):
        flow = _with_sub_flows(flow, passes, done)
    for rewrite in passes:
        rewritten = rewrite(flow)
        flow = rewritten.flow
        notes += rewritten.notes
    return Optimized(flow, tuple(notes))


def _with_sub_flows(flow: Flow, passes: Sequence[Pass], done: dict[int, Flow]) -> Flow:
    """Optimize sub-flows, each once however many tasks start it."""

    def each(task: Task, path: str) -> Task:
        work = task.work
        if type(work) is not SubFlow or work.flow is None:
            return task
        if (better := done.get(id(work.flow))) is None:
            better = done[id(work.flow)] = _optimize(work.flow, passes, done).flow
        return task if better is work.flow else replace(task, work=replace(work, flow=better))

    return rewrite_tasks(flow, each)
