"""From text to a checked flow: read, lower, check.  Start here.

A flow's constant sub-flows are compiled with it.  What is found anywhere is
gathered and reported at once; only a file that is no YAML, or that passes a
limit, hides what else is wrong in it.
"""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks import CHECKS, Subject
from flowbuilder.compiler.collector import collector_paused
from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.limits import DEFAULT_LIMITS, Limits
from flowbuilder.compiler.lower.context import Context
from flowbuilder.compiler.lower.flow import lower_flow
from flowbuilder.compiler.lower.graph import TooManyTasks
from flowbuilder.compiler.lower.task import lower_task
from flowbuilder.compiler.read.parse import parse
from flowbuilder.compiler.read.source import Source, WrittenFrom
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowError

if TYPE_CHECKING:
    from flowbuilder.compiler.nodes import Node
    from flowbuilder.core.catalogue import TaskSpec

Resolve = Callable[[str, str], str]
"""Takes a path and the file that it stands in, and returns the text of the file that it names."""


class Checked(msgspec.Struct, frozen=True):
    """A flow that holds together."""

    flow: ir.Flow
    diagnostics: tuple[Diagnostic, ...]
    """Warnings."""
    sources: Mapping[str, str]
    """All texts that it was made of, by file; the flow's own first."""
    written_from: Mapping[str, Sequence[WrittenFrom]] = {}
    """Of those that a front end wrote: where their parts come from, by file."""


def compile_text(
    text: str,
    file: str,
    *,
    catalogue: Mapping[str, TaskSpec],
    resolve: Resolve | None = None,
    limits: Limits = DEFAULT_LIMITS,
    written_from: Mapping[str, Sequence[WrittenFrom]] = {},
) -> Checked:
    """Return the flow that a text describes, checked completely.

    The same text gives the same flow and the same `content_hash`.  Reads no
    files itself, and runs nobody's code.

    Args:
        text: YAML or JSON.
        file: the text's name, for messages; sub-flows are looked for beside it.
        catalogue: the task types there are.
        resolve: returns a sub-flow's text, or raises `FileNotFoundError`.
        limits: how large a flow may be.
        written_from: where the parts of texts come from that a front end wrote, by file: errors of a run
            name these places.

    Raises:
        FlowError: with every finding, warnings among them, in file order.

    Cost:
        O(n) in the length of all texts.
    """
    with collector_paused():
        return _Compilation(catalogue, resolve, limits, written_from).run(text, file)


class _Compilation:
    """One flow with its sub-flows."""

    def __init__(
        self,
        catalogue: Mapping[str, TaskSpec],
        resolve: Resolve | None,
        limits: Limits,
        written_from: Mapping[str, Sequence[WrittenFrom]],
    ) -> None:
        self.written_from = written_from
        self.catalogue = catalogue
        self.resolve = resolve
        self.limits = limits
        self.findings = Findings()
        self.sources: dict[str, str] = {}
        self.flows: dict[str, ir.Flow | None] = {}
        """Flows that are done, by their file's normal path; None for one that could not be read."""
        self.open: list[str] = []
        """Files in the making, each called by the one before."""
        self.parts: list[list[str]] = []
        """For each of them the hashes of the sub-flows that it has called."""

    def run(self, text: str, file: str) -> Checked:
        """Compile the main file."""
        flow = self._compile(text, file)
        found = self.findings.ordered(self.sources)
        if flow is None or self.findings.errors:
            raise FlowError(found)
        return Checked(flow, found, self.sources, self.written_from)

    def _compile(self, text: str, file: str) -> ir.Flow | None:
        source = Source(text, file, self.written_from.get(os.path.normpath(file), ()))
        self.sources[file] = source.text
        root = parse(source, self.findings, self.limits)
        if root is None:
            return None
        self.open.append(os.path.normpath(file))
        self.parts.append([])
        try:
            return self._check(source, root)
        except TooManyTasks:
            return None
        finally:
            self.open.pop()
            self.parts.pop()

    def _check(self, source: Source, root: Node) -> ir.Flow:
        ctx = Context(source, self.findings, self.catalogue, self.limits, self, lower_task)
        flow, secrets = lower_flow(ctx, root, "")
        subject = Subject(flow, ctx, secrets)
        for check in CHECKS:
            check(subject, self.findings)
        return msgspec.structs.replace(flow, content_hash=_hash(source.text, self.parts[-1]))

    def find(self, path: str, ctx: Context, node: Node) -> ir.Flow | None:
        """Return the flow of a constant path; None for the calling file itself, or where it is wrong."""
        file = str(PurePath(ctx.source.file).parent / path)
        normal = os.path.normpath(file)
        if normal == self.open[-1]:
            return None
        if normal in self.open:
            chain = " → ".join(
                PurePath(name).name for name in [*self.open[self.open.index(normal) :], normal]
            )
            ctx.error(
                "FB251",
                f"these flows call each other without end: {chain}",
                node,
                "call one of them by `name`",
            )
            return None
        if normal not in self.flows:
            self.flows[normal] = self._sub_flow(path, file, ctx, node)
        flow = self.flows[normal]
        if flow is not None:
            self.parts[-1].append(flow.content_hash)
        return flow

    def _sub_flow(self, path: str, file: str, ctx: Context, node: Node) -> ir.Flow | None:
        if len(self.open) > self.limits.sub_flows:
            ctx.error(
                "FB251",
                f"sub-flows call each other more than {self.limits.sub_flows} deep",
                node,
                "raise `limits.sub_flows` if this is meant",
            )
            return None
        if len(self.sources) >= self.limits.files:
            ctx.error(
                "FB109",
                f"the flow is made of more than {self.limits.files} files",
                node,
                "raise `limits.files`",
            )
            return None
        if self.resolve is None:
            ctx.error(
                "FB250", f"'{path}' cannot be looked for: this flow is no file", node, "call it by `name`"
            )
            return None
        try:
            text = self.resolve(path, ctx.source.file)
        except (OSError, UnicodeError, ValueError, LookupError) as error:
            missing = isinstance(error, FileNotFoundError | LookupError)
            what = (
                f"there is no file '{path}'"
                if missing
                else f"the file '{path}' cannot be read: {_why(error)}"
            )
            ctx.error("FB250", what, node, f"it is looked for at {file}")
            return None
        return self._compile(text, file)


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is no UTF-8"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _hash(text: str, parts: list[str]) -> str:
    """Return SHA-256 over a text and what its sub-flows hash to, in the order in which they are called."""
    digest = hashlib.sha256(text.encode())
    for part in parts:
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()
