"""Reading flows from files."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.runtime.plans import Plans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.ir import Flow
    from flowbuilder.compiler.limits import Limits
    from flowbuilder.core.diagnostics import Diagnostic
    from flowbuilder.core.plan import FlowPlan


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedFlow:
    """A flow that was read and holds together."""

    path: Path
    flow: Flow
    plan: FlowPlan
    diagnostics: tuple[Diagnostic, ...]
    """Warnings."""
    sources: Mapping[str, str]
    """All texts that it is made of, by file."""


@functools.cache
def _plans(limits: Limits | None) -> Plans:
    return Plans(limits)


def load(path: str | Path, limits: Limits | None = None) -> LoadedFlow:
    """Read a flow file, check it, and make its plan.

    Args:
        path: a YAML or JSON file.
        limits: how large it may be; the settings' defaults otherwise.

    Raises:
        FlowError: with every finding, each with its place.
        NotFound: there is no such file.
    """
    plans = _plans(limits)
    checked = plans.compile_file(Path(path))
    return LoadedFlow(
        Path(path), checked.flow, plans.of_checked(checked), checked.diagnostics, checked.sources
    )
