"""Importing what a file says now, and not what was kept of it compiled."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

_NOWHERE = "/dev/null/flowbuilder"


@contextlib.contextmanager
def from_source() -> Iterator[None]:
    """Let imports read sources only: of a file that changes twice a second the compiled one looks current."""
    before = sys.dont_write_bytecode, sys.pycache_prefix
    sys.dont_write_bytecode, sys.pycache_prefix = True, _NOWHERE
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = before
