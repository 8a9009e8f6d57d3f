"""Compiles a text and tells what was said of it, for tests of the compiler."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from flowbuilder.compiler.limits import DEFAULT_LIMITS, Limits
from flowbuilder.compiler.pipeline import Checked, compile_text
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.core.diagnostics import Diagnostic


def compiled(text: str, limits: Limits = DEFAULT_LIMITS) -> Checked:
    """Return the flow of a text.

    Raises:
        FlowError: if it is wrong.
    """
    return compile_text(text, "f.yaml", catalogue=CATALOGUE, limits=limits)


def said(text: str, limits: Limits = DEFAULT_LIMITS) -> list[Diagnostic]:
    """Return all that is said of a text, errors and warnings."""
    try:
        return list(compiled(text, limits).diagnostics)
    except FlowError as error:
        return list(error.diagnostics)


def codes(text: str, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """Return the codes of all that is said of a text."""
    return [found.code for found in said(text, limits)]


def flow(tasks: str, head: str = "", tail: str = "") -> str:
    """Return a flow with these tasks, written from the left margin on."""
    body = textwrap.indent(textwrap.dedent(tasks).strip("\n"), "  ")
    return f"flow: f\n{textwrap.dedent(head)}tasks:\n{body}\n{textwrap.dedent(tail)}"


def tasks(tasks_text: str, head: str = "") -> dict[str, ir.Task]:
    """Return the tasks of a flow by id."""
    return {task.id: task for task in compiled(flow(tasks_text, head)).flow.main.tasks}
