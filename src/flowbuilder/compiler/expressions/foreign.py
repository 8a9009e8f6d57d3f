"""What expressions of other tools call our names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.expressions.references import Reference

_OF_TASKS: Final = frozenset({"steps", "needs", "jobs", "nodes", "activities"})
_INPUTS: Final = "it is called `inputs`, and declared in `inputs` of the flow"
_MOMENT: Final = "when a run began is `run.started_at`; `with` of a trigger hands in `trigger.scheduled_at`"
_OUTSIDE: Final = "nothing is known here of what started the run outside: hand it in as an input"
_HINTS: Final[Mapping[str, str]] = {
    "github": _OUTSIDE,
    "gitlab": _OUTSIDE,
    "params": _INPUTS,
    "parameters": _INPUTS,
    "args": _INPUTS,
    "arguments": _INPUTS,
    "variables": "they are called `vars`",
    "matrix": "a combination of `matrix` is called `item`, or as `as` says",
    "workflow": "it is called `run`: `run.id`, `run.flow`",
    "dag_run": "it is called `run`: `run.id`, `run.started_at`",
    "execution_date": _MOMENT,
    "logical_date": _MOMENT,
    "ds": _MOMENT,
    "ti": "what a task came to is `tasks.<id>.output`",
    "xcom": "what a task came to is `tasks.<id>.output`",
}


def hint_for(reference: Reference) -> str:
    """Return what a name of another tool is called here; empty for any other name."""
    if reference.root in _OF_TASKS:
        id = reference.path[0] if reference.path else "<id>"
        return f"what a task came to is `tasks.{id}.output`"
    return _HINTS.get(reference.root, "")
