"""A value that is encrypted: what a journal and a run's row hold of what is sensitive.

Whoever has no key, or no need, sees a `Sealed` where the value stands, and
shows it as `***`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from flowbuilder.core.masking import MASK

FILE_MAGIC: Final = b"FLOWBUILDER SEALED FILE 1\n"
"""What a file that is encrypted begins with."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value."""

    data: bytes
    """The key's id, the nonce, names of blobs, the ciphertext with its tag: see `runtime.encryption`."""


def shown(value: Any) -> Any:
    """Return a value as people may see it: what is sealed in it as `***`.

    A value that was decoded has something sealed in it at its top, as an
    element of a map's output, or as an input.
    """
    kind = type(value)
    if kind is dict:
        for (
            item
        ) in value.values():  # hot: benchmarks/pure_tasks.py; most have nothing sealed, and stay as they are
            if type(item) is Sealed:
                return {key: MASK if type(item) is Sealed else item for key, item in value.items()}
    elif kind is list:
        return [MASK if type(item) is Sealed else item for item in value]
    elif kind is Sealed:
        return MASK
    return value
