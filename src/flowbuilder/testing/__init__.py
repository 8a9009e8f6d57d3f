"""What users (and our own tests) need to test flows and stores.

`run_flow` runs a flow in memory, on a `FakeClock` that jumps over waits;
`pass_time` lets time pass for a project that is up;
`CrashingStore` dies, fails or dawdles where a test tells it to;
`StoreContract` is what every store promises, as a suite to subclass;
`check_task_type` says what a plug-in's task type lacks;
`flow_test` is a fixture for pytest that runs flows with mocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbuilder.testing.crashing_store import Crash, CrashingStore
    from flowbuilder.testing.fake_clock import FakeClock
    from flowbuilder.testing.fixture import FlowOutcome, FlowTester, flow_test
    from flowbuilder.testing.flows import load_text, run_flow
    from flowbuilder.testing.passing_time import pass_time
    from flowbuilder.testing.plugin_check import check_task_type
    from flowbuilder.testing.store_contract import StoreContract

__all__ = [
    "Crash",
    "CrashingStore",
    "FakeClock",
    "FlowOutcome",
    "FlowTester",
    "StoreContract",
    "check_task_type",
    "flow_test",
    "load_text",
    "pass_time",
    "run_flow",
]

_MODULES = {
    "Crash": "crashing_store",
    "CrashingStore": "crashing_store",
    "FakeClock": "fake_clock",
    "FlowOutcome": "fixture",
    "FlowTester": "fixture",
    "StoreContract": "store_contract",
    "check_task_type": "plugin_check",
    "flow_test": "fixture",
    "load_text": "flows",
    "pass_time": "passing_time",
    "run_flow": "flows",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is asked for: the contract needs pytest, the rest does not."""
    if name not in _MODULES:
        raise AttributeError(f"module 'flowbuilder.testing' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"flowbuilder.testing.{_MODULES[name]}"), name)
