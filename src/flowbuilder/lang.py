"""The names and functions of the flow language, for flows in Python.

Every function of the language is here, to be called with recorded values:
`lang.len(rows)`, `lang.sum(prices)`, `lang.now()`, `lang.sha256(text)`.  So
are its names: `lang.secrets.TOKEN`, `lang.run.id`, `lang.env.REGION`,
`lang.vars.base`, `lang.config.region`, `lang.trigger.scheduled_at`, `lang.item`.  What Python has no word for is
here as well: `text`, `each`, `where`, `status_of`, `error_of`, `errors_of`.
"""

from __future__ import annotations

from typing import Any

from flowbuilder.compiler.expressions.tree import Call
from flowbuilder.core.functions.table import FUNCTIONS
from flowbuilder.sdk.pyflows.places import here
from flowbuilder.sdk.pyflows.recorded import Recorded, tree_of
from flowbuilder.sdk.pyflows.trees import AT, name
from flowbuilder.sdk.pyflows.values import each, error_of, errors_of, status_of, text, where

NAMES = (
    *("inputs", "config", "vars", "env", "secrets", "item", "index", "loop", "output", "run", "trigger"),
    *("event", "error", "connections"),
)
"""Names of the language that stand for values of a run."""

__all__ = ["each", "error_of", "errors_of", "status_of", "text", "where"]


class Function:
    """A function of the language: calling it records the call."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self.__doc__ = FUNCTIONS[name].call.__doc__

    def __call__(self, *args: Any, **named: Any) -> Recorded:
        """Record the call."""
        pairs = tuple((key, tree_of(value)) for key, value in named.items())
        return Recorded(Call(AT, self.__name__, tuple(tree_of(arg) for arg in args), pairs), here())

    def __repr__(self) -> str:
        return f"<function {self.__name__} of flows>"


def __getattr__(word: str) -> Any:
    if word in NAMES:
        return Recorded(name(word), here())
    if word in FUNCTIONS:
        return Function(word)
    raise AttributeError(f"the language has no name or function '{word}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *NAMES, *FUNCTIONS])
