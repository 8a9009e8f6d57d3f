"""What the task types that come along are, as data: the compiler, the editor and the docs read this.

Each topic has a file in `tasks.specs`.
Importing it loads no implementation; `tasks.registry` does that on first
use.  `set`, `switch`, `sleep`, `flow` and `group` are here too, though the
compiler and the runtime carry them out themselves.

A parameter with the role `shell` is a text where the author wrote no
expression in it, else the mapping that `core.shellquote` describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from flowbuilder.tasks.specs.commands import PYTHON, SCRIPT, SHELL
from flowbuilder.tasks.specs.email import EMAIL
from flowbuilder.tasks.specs.files import FILE
from flowbuilder.tasks.specs.flows import FLOW, GROUP, SLEEP
from flowbuilder.tasks.specs.http import HTTP
from flowbuilder.tasks.specs.kv import KV
from flowbuilder.tasks.specs.notes import ASSERT, FAIL, LOG
from flowbuilder.tasks.specs.sql import SQL
from flowbuilder.tasks.specs.values import SET, SWITCH
from flowbuilder.tasks.specs.waiting import APPROVAL, EMIT, WAIT

if TYPE_CHECKING:
    from flowbuilder.core.catalogue import TaskSpec

CATALOGUE: Final[Mapping[str, TaskSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            *(SET, SWITCH, SHELL, SCRIPT, PYTHON, HTTP),
            *(SLEEP, FLOW, GROUP, FAIL, LOG, ASSERT),
            *(WAIT, EMIT, APPROVAL),
            *(SQL, KV, FILE, EMAIL),
        )
    }
)
"""The task types that come with the engine, by name."""
