"""Python as a language of flows: what reads `flows.py:report` where another flow names it."""

from __future__ import annotations

from pathlib import Path

from flowbuilder.sdk.pyflows.finding import find


class PythonFrontEnd:
    """Makes the text of a flow of its function."""

    def read(self, path: Path) -> str:
        """Return the text of the flow that a path names: `flows.py:report`.

        Raises:
            FileNotFoundError: there is no such file, or flow in it.
            FlowError: it is wrong.
        """
        from flowbuilder.core.errors import NotFound

        try:
            return find(str(path)).to_yaml()
        except NotFound as error:
            raise FileNotFoundError(str(error)) from None
