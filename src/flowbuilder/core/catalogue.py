"""Task types as data: what the compiler, the editor, the designer and the docs know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from flowbuilder.core.policies import Effect

Role = Literal["secret", "literal", "shell", "url", "condition"]
"""What may stand in a parameter.

secret: may mention `secrets`.  literal: takes no expressions.  shell: a script in which values
become quoted variables.  url: values behind the host are percent-encoded, and it may mention
no secrets.  condition: the marks around an expression may be left out, and it is no text.
"""


class TaskSpec(msgspec.Struct, frozen=True):
    """All that is known of a task type without running it."""

    name: str
    summary: str
    params: Mapping[str, Any]
    """JSON Schema of `with`, for values after evaluation; checked on constants at compile time."""
    output: Mapping[str, Any]
    """JSON Schema of the output; `{}` where anything may come."""
    effect: Effect
    effect_by: tuple[str, Mapping[str, Effect]] | None = None
    """A parameter whose constant value decides the effect: `("method", {"GET": "read"})`;
    values are compared in upper case, a missing one counts as its schema's default."""
    roles: Mapping[str, tuple[Role, ...]] = {}
    """By top-level parameter name; a role holds for everything inside the parameter."""
    calls: bool = True
    """Whether a flow's `defaults` for timeout and retry reach it."""
    icon: str = "box"
    whole: bool = False
    """`with` is any value as a whole (`set`), not a mapping of parameters."""
    broken: str = ""
    """Why a plug-in's type cannot be used; empty where it can."""
    connects: tuple[str, ...] = ()
    """Types of connections that its parameter `connection` may name (`core.connections`)."""
    effect_of: Callable[[Mapping[str, Any]], Effect] | None = None
    """Tells the effect from the parameters that are constant, where one parameter's value does not."""
