"""Reading flows from files."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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
def plans_for(limits: Limits | None) -> Plans:
    """Return what compiles flows within limits; always the same one for the same limits."""
    return Plans(limits)


class Loadable(Protocol):
    """What can say itself what flow it is: a function with `@flow`."""

    def load(self, limits: Limits | None = None) -> LoadedFlow:
        """Return the flow, checked and planned."""
        ...


def load(path: str | Path | Loadable, limits: Limits | None = None) -> LoadedFlow:
    """Read a flow file, check it, and make its plan.

    Args:
        path: a YAML or JSON file; a function with `@flow`, or where it is: `flows.py:report`,
            `package.module:report`.
        limits: how large it may be; the settings' defaults otherwise.

    Raises:
        FlowError: with every finding, each with its place.
        NotFound: there is no such file.
    """
    if not isinstance(path, str | Path):
        return path.load(limits)
    if is_python(str(path)):
        from flowbuilder.sdk.pyflows.finding import find  # start-up time: most flows are files of their own

        return find(str(path)).load(limits)
    plans = plans_for(limits)
    checked = plans.compile_file(Path(path))
    return LoadedFlow(
        Path(path), checked.flow, plans.of_checked(checked), checked.diagnostics, checked.sources
    )


def is_python(reference: str) -> bool:
    """Tell whether a text names a flow in Python: `flows.py`, `flows.py:report`, `package.module:report`."""
    file, colon, name = reference.rpartition(":")
    if not colon:
        return reference.endswith(".py")
    if not all(step.isidentifier() or step == "<locals>" for step in name.split(".")) and name:
        return False
    return file.endswith(".py") or all(step.isidentifier() for step in file.split("."))
