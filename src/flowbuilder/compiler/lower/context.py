"""What lowering one file needs at every step: its source, where findings go, what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from flowbuilder.compiler.expressions.tree import At, Text
from flowbuilder.compiler.nearest import nearest
from flowbuilder.compiler.nodes import Broken, Node, Scalar, kind_of
from flowbuilder.compiler.read.origin import NodeOrigin, ScalarOrigin

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.compiler.ir import Flow
    from flowbuilder.compiler.limits import Limits
    from flowbuilder.compiler.lower.draft import Draft
    from flowbuilder.compiler.read.source import Source
    from flowbuilder.core.catalogue import TaskSpec
    from flowbuilder.core.policies import OnCrash
    from flowbuilder.core.span import Span


RETRY_AT = "retry at"
"""Where in the values of `defaults` the place of their `retry` is kept."""


class SubFlows(Protocol):
    """Compiles the flows that a file names by a constant path."""

    def find(self, path: str, ctx: Context, node: Node) -> Flow | None:
        """Return the flow, or None where something was reported or the file names itself."""
        ...


class Context:
    """One file on its way to a flow."""

    __slots__ = (
        "catalogue",
        "defaults",
        "findings",
        "limits",
        "lower_task",
        "missing_needs",
        "on_crash",
        "retried_by",
        "source",
        "sub_flows",
        "tasks",
        "timezone",
    )

    def __init__(
        self,
        source: Source,
        findings: Findings,
        catalogue: Mapping[str, TaskSpec],
        limits: Limits,
        sub_flows: SubFlows,
        lower_task: Callable[[Context, Scalar, Node], Draft],
    ) -> None:
        self.source = source
        self.findings = findings
        self.catalogue = catalogue
        self.limits = limits
        self.sub_flows = sub_flows
        self.lower_task = lower_task
        """`lower.task.lower_task`: tasks hold graphs and graphs hold tasks."""
        self.tasks = 0
        """Tasks met so far."""
        self.on_crash: OnCrash = "rerun"
        self.timezone = "UTC"
        """The flow's."""
        self.defaults: tuple[dict[str, Any], dict[str, dict[str, Any]]] = ({}, {})
        """What `defaults` says for all tasks, and by type."""
        self.missing_needs: list[tuple[Scalar, str, tuple[str, ...]]] = []
        """What stands in `needs` and is no task of the same graph: the word, whose it is, what there is."""

        self.retried_by: dict[Span, Span] = {}
        """For each task that takes its retry from `defaults` alone where that stands, by the task's place."""

    def span(self, node: Node) -> Span:
        """Return the place of a node: all of a scalar, the first line of a list or mapping."""
        if type(node) is Scalar:
            return self.source.span(node.start, node.end)
        return NodeOrigin(self.source, node).span(0, 0)

    def at(self, node: Node) -> At:
        """Return the place of a node for a part of an expression."""
        if type(node) is Scalar:
            return At(ScalarOrigin(self.source, node), 0, len(node.text))
        return At(NodeOrigin(self.source, node), 0, 0)

    def default_retry(self, type_name: str) -> Span:
        """Return where the retry stands that tasks of a type have by default."""
        general, types = self.defaults
        return types.get(type_name, {}).get(RETRY_AT) or general[RETRY_AT]  # type: ignore[no-any-return]

    def error(self, code: str, what: str, node: Node, *hints: str) -> None:
        """Report an error about a node; what is broken was reported before."""
        if type(node) is not Broken:
            self.findings.error(code, what, self.span(node), *hints)

    def warn(self, code: str, what: str, node: Node, *hints: str) -> None:
        """Report a warning about a node."""
        self.findings.warn(code, what, self.span(node), *hints)

    def expected(self, wanted: str, node: Node, key: str, *hints: str) -> None:
        """Report that a key's value is of the wrong kind."""
        self.error("FB203", f"'{key}' takes {wanted}, and this is {kind_of(node)}", node, *hints)

    def near(self, name: str, candidates: Iterable[str]) -> str:
        """Return a hint with the right name for a mistyped one, or an empty text."""
        return nearest(name, candidates, self.findings)

    def unknown(self, node: Node) -> Expr:
        """Return what stands for a value that could not be read: nobody complains about it again."""
        return Text(self.at(node), ())
