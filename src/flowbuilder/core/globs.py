"""Error kinds and the patterns that name them."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER_RETRIED = (
    "expression.*",
    "input",
    "input.*",
    "output.*",
    "cancelled",
    "approval.*",
    "engine.*",
    "resource.impossible",
)
"""Kinds that another attempt cannot mend."""


@functools.lru_cache(maxsize=1024)
def _pattern(glob: str) -> re.Pattern[str]:
    match = re.fullmatch(r"http\.(\d)xx", glob)
    if match:
        return re.compile(rf"http\.{match[1]}\d\d")
    return re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."))


def kind_matches(kind: str, globs: Iterable[str]) -> bool:
    """Tell whether an error's kind is among the patterns; `http.5xx` means 500 to 599.

    Example:
        >>> kind_matches("http.503", ["http.5xx"]), kind_matches("shell.exit", ["http.*"])
        (True, False)
    """
    return any(_pattern(glob).fullmatch(kind) for glob in globs)
