"""What users (and our own tests) need to test flows and stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.run_flow import finish, load_text, run_flow

if TYPE_CHECKING:
    from flowbuilder.testing.store_contract import StoreContract

__all__ = ["Crash", "CrashingStore", "FakeClock", "StoreContract", "finish", "load_text", "run_flow"]


def __getattr__(name: str) -> Any:
    if name != "StoreContract":
        raise AttributeError(f"module 'flowbuilder.testing' has no attribute '{name}'")
    from flowbuilder.testing.store_contract import StoreContract  # it needs pytest, the others do not

    return StoreContract
