"""A flow of which everything is sensitive: what a sensitive task of another flow starts.

The child does that task's work, so that what it is given, what its tasks
yield and what it returns is no less sensitive than the task's own output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from flowbuilder.compiler.lower.sensitive import mark_graph

if TYPE_CHECKING:
    from flowbuilder.compiler import ir


def seal_flow(flow: ir.Flow) -> ir.Flow:
    """Return a flow with every input and every task marked as sensitive, the undos among them."""
    return replace(
        flow,
        inputs=tuple([replace(entry, sensitive=True) for entry in flow.inputs]),
        main=mark_graph(flow.main),
        on_failure=None if flow.on_failure is None else mark_graph(flow.on_failure),
        finally_=None if flow.finally_ is None else mark_graph(flow.finally_),
        sensitive=True,
    )
