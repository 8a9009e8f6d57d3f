"""A run in a notebook, as a table that follows it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView


def shown_here() -> Callable[[RunView], None] | None:
    """Return what shows a run, and what has become of it at each further call; None where there is no notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is None or type(shell).__name__ == "TerminalInteractiveShell":
        return None
    return LiveTable()


class LiveTable:
    """A table in the output of a cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, run: RunView) -> None:
        """Show the run, in the place of how it was before."""
        from IPython import display as ipython  # an optional part: we are called where it is there

        make: Any = ipython.HTML
        show: Any = ipython.display
        table = make(run._repr_html_())
        if self._handle is None:
            self._handle = show(table, display_id=True)
        else:
            self._handle.update(table)
