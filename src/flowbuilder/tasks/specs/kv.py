"""`kv`: small values that outlive runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import TEXT, described, with_

if TYPE_CHECKING:
    from flowbuilder.core.policies import Effect

KIND: Final = "kv"
"""The kind of the facts that values are kept as."""
ADDED: Final = "kv-added"
"""The kind of the facts that say what an `add` came to, by idempotency key."""
OPERATIONS: Final = ("get", "set", "add", "delete", "list")
"""What may be done; a task does one of them."""


def _effect(params: Mapping[str, Any]) -> Effect:
    return "read" if "get" in params or "list" in params else "write"


_KEY: Final = {"type": "string", "minLength": 1, "maxLength": 1000}

KV: Final = TaskSpec(
    name="kv",
    summary="Keeps a small value between runs.",
    params=with_(
        {
            "get": described(_KEY, "The key whose value is the output."),
            "set": described(_KEY, "The key that gets `value`."),
            "add": described(_KEY, "The key whose number grows by `value`; the sum is the output."),
            "delete": described(_KEY, "The key to forget; the output tells whether there was one."),
            "list": described(TEXT, "How keys begin; the output is a mapping of all such keys."),
            "value": {"description": "What `set` keeps; what `add` adds, 1 unless given."},
            "default": {"description": "What `get` gives where there is nothing, null unless given."},
            "ttl": {
                "type": ["string", "number"],
                "format": "duration",
                "description": "How long the value is kept, such as `1h`; for ever unless given.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "default": 1000,
                "description": "The most keys that `list` gives.",
            },
            "namespace": described(
                TEXT, "Whose keys: the flow's `namespace`, else its name.", pattern=r"^[^/]{1,128}$"
            ),
        },
        one_of=OPERATIONS,
    ),
    output={},
    effect="write",
    effect_of=_effect,
    icon="archive",
)
