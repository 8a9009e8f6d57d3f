"""FlowBuilder: flows in YAML or Python, compiled, run durably, and explained.

What is named here is the public face; everything is loaded on first use, so
that `import flowbuilder` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbuilder.core.errors import (
        EngineStopped,
        ExpressionError,
        FlowBuilderError,
        FlowError,
        InputError,
        KeyConflict,
        NotFound,
        RunCancelled,
        RunFailed,
        StoreError,
        TaskFailed,
    )
    from flowbuilder.runtime.config import Config
    from flowbuilder.runtime.secrets import SecretsMissing
    from flowbuilder.runtime.views import RunView, TaskView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.load import LoadedFlow, load
    from flowbuilder.sdk.pyflows.blocks import group as group
    from flowbuilder.sdk.pyflows.blocks import when as when
    from flowbuilder.sdk.pyflows.calling import approval as approval
    from flowbuilder.sdk.pyflows.calling import call
    from flowbuilder.sdk.pyflows.calling import emit as emit
    from flowbuilder.sdk.pyflows.calling import sleep as sleep
    from flowbuilder.sdk.pyflows.calling import switch as switch
    from flowbuilder.sdk.pyflows.calling import wait as wait
    from flowbuilder.sdk.pyflows.flows import flow
    from flowbuilder.sdk.pyflows.maps import map
    from flowbuilder.sdk.pyflows.tasks import task
    from flowbuilder.sdk.reader import Reader
    from flowbuilder.sdk.run import Run
    from flowbuilder.sdk.sync import run

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Engine",
    "EngineStopped",
    "ExpressionError",
    "FlowBuilderError",
    "FlowError",
    "InputError",
    "KeyConflict",
    "LoadedFlow",
    "NotFound",
    "Reader",
    "Run",
    "RunCancelled",
    "RunFailed",
    "RunView",
    "SecretsMissing",
    "StoreError",
    "TaskFailed",
    "TaskView",
    "call",
    "flow",
    "load",
    "map",
    "run",
    "task",
]

_MODULES = {
    "Config": "flowbuilder.runtime.config",
    "Engine": "flowbuilder.sdk.engine",
    "LoadedFlow": "flowbuilder.sdk.load",
    "Reader": "flowbuilder.sdk.reader",
    "Run": "flowbuilder.sdk.run",
    "RunView": "flowbuilder.runtime.views",
    "SecretsMissing": "flowbuilder.runtime.secrets",
    "TaskView": "flowbuilder.runtime.views",
    "flow": "flowbuilder.sdk.pyflows.flows",
    "load": "flowbuilder.sdk.load",
    "task": "flowbuilder.sdk.pyflows.tasks",
    **dict.fromkeys(
        ("approval", "call", "emit", "sleep", "switch", "wait"), "flowbuilder.sdk.pyflows.calling"
    ),
    **dict.fromkeys(("group", "when"), "flowbuilder.sdk.pyflows.blocks"),
    "map": "flowbuilder.sdk.pyflows.maps",
    "run": "flowbuilder.sdk.sync",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in __all__:
        raise AttributeError(f"module 'flowbuilder' has no attribute '{name}'")
    from importlib import import_module  # start-up time

    value = getattr(import_module(_MODULES.get(name, "flowbuilder.core.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, "__version__"})
