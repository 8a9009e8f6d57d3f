"""Values in shell scripts: each becomes a variable, quoted for the place where it stands.

`run: gzip "${{ inputs.path }}"` runs the script `gzip "${__fb_0}"` with the
variable `__fb_0`.  So bash never reads a value as code, whatever is in it.
Where the place of a value cannot be told, or where bash would compute or run
what stands there, binding fails and the author is told to use `env` instead.

The front end lowers the parameter `command` of a `shell` task so:

- A text without expressions stays a text: `{"command": "echo hello"}`.
- Otherwise it becomes the mapping `{"script": script, "variables": {name: value, …}}`, with `script`
  and the names from `bind_script`, and as each value the expression's `Text((expr,))`, so that it is
  written out as in any longer text and null is an error.  A name that is None gets no entry: that
  expression stands in a comment.

Names beginning with `INTEGER_PREFIX` stand where bash computes, as in
`$(( ))`, and bash would run commands hidden in a text there: the task type
takes nothing but a whole number for them (`check_variable`).

Not covered: what other programs do with their arguments (a `sed` script, an
option that looks like a file's name), and variables that the author's own
script computes with or evaluates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.core.shellscan import Place, ScriptProblem, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "INTEGER_PREFIX",
    "Placeholder",
    "Script",
    "ScriptError",
    "ScriptProblem",
    "bind_script",
    "check_variable",
]

TEXT_PREFIX: Final = "__fb_"
INTEGER_PREFIX: Final = "__fb_int_"

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_INTEGER_BOUND: Final = 2**63


class Placeholder(msgspec.Struct, frozen=True):
    """Stands for an expression in a script."""


class Script(NamedTuple):
    """A script whose values are variables.  `names` has one for each placeholder; None in a comment."""

    script: str
    names: tuple[str | None, ...]


class ScriptError(FlowBuilderError):
    """Some values of a script cannot be bound; `problems` has each, in the order of the script."""

    def __init__(self, problems: Sequence[ScriptProblem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "; ".join(problem.what for problem in self.problems)


def bind_script(parts: Sequence[str | Placeholder]) -> Script:
    r"""Return the script with a variable in the place of each placeholder.

    Args:
        parts: the script, cut where an expression stands; literal text is bash as its author wrote it.

    Raises:
        ScriptError: if the place of a value cannot be told, or is one where a value would be run;
            each problem names the placeholder by its number, and shows the `env` form.

    Example:
        >>> bind_script(["echo ", Placeholder(), " 'it is ", Placeholder(), "'"]).script
        'echo "${__fb_0}" \'it is \'"${__fb_1}"\'\''
    """
    if not any(type(part) is Placeholder for part in parts):
        return Script("".join(part for part in parts if isinstance(part, str)), ())
    scanned = scan([part if isinstance(part, str) else None for part in parts])
    if scanned.problems:
        raise ScriptError(scanned.problems)
    script = ""
    names: list[str | None] = []
    places = iter(scanned.places)
    for part in parts:
        if isinstance(part, str):
            script += part
            continue
        place = next(places)
        prefix = INTEGER_PREFIX if place.integer else TEXT_PREFIX
        name = None if place.style == "comment" else f"{prefix}{len(names)}"
        script += _written(place, name, script[-1:])
        names.append(name)
    return Script(script, tuple(names))


def check_variable(name: str, value: str) -> str:
    """Return a variable's value if bash can be given it.

    Raises:
        ValueError: says what is wrong with it, without showing it.
    """
    if "\0" in value:
        raise ValueError("a value has a NUL character in it, which no shell variable can hold")
    if name.startswith(INTEGER_PREFIX) and not (
        _INTEGER.fullmatch(value) and -_INTEGER_BOUND <= int(value) < _INTEGER_BOUND
    ):
        raise ValueError(
            "a value that stands where bash computes is no whole number; "
            "give it by `env` if it is meant to be something else"
        )
    return value


def _written(place: Place, name: str | None, before: str) -> str:
    """Return what stands for a value in the script."""
    match place.style:
        case "comment":
            return ""
        case "bare":
            return f'"${{{name}}}"'
        case "quoted":
            return f"${{{name}}}"
        case "single":
            return f"'\"${{{name}}}\"'"
        case "ansi":
            return f"'\"${{{name}}}\"$'"
        case "number":
            # `3 -${x}` with x=-1 would be `3 --1`, which is another operator
            return f"{' ' if before and before in '+-' else ''}${{{name}}}"
