"""`set` and `switch`: values from values."""

from __future__ import annotations

from typing import Final

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.specs.shapes import with_

SET: Final = TaskSpec(
    name="set",
    summary="Computes a value from others.",
    params={},
    output={},
    effect="pure",
    calls=False,
    icon="variable",
    whole=True,
)

SWITCH: Final = TaskSpec(
    name="switch",
    summary="Takes the value of the first case whose condition holds.",
    params=with_(
        {
            "cases": {
                "type": "array",
                "minItems": 1,
                "items": with_(
                    {
                        "when": {
                            "type": "boolean",
                            "description": "The condition; `${{ }}` may be left out.",
                        },
                        "value": {},
                    },
                    required=("when", "value"),
                ),
            },
            "default": {"description": "The value where no case holds; null unless given."},
        },
        required=("cases",),
    ),
    output={},
    effect="pure",
    calls=False,
    icon="split",
)
