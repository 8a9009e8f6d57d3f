"""The codes of what can be wrong with an expression, each with its title."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SYNTAX: Final = "FB301"
UNCLOSED: Final = "FB302"
REFUSED: Final = "FB303"
TOO_LARGE: Final = "FB304"
LITERAL: Final = "FB305"
UNKNOWN_NAME: Final = "FB310"
UNKNOWN_FUNCTION: Final = "FB311"
ARGUMENTS: Final = "FB312"
COMPUTED_TASK: Final = "FB313"
UNKNOWN_FIELD: Final = "FB314"
NOT_HERE: Final = "FB315"
BOUND_NAME: Final = "FB316"
WHOLE_SECRETS: Final = "FB317"
TEXT_CONDITION: Final = "FB318"
PATTERN: Final = "FB319"

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        SYNTAX: "An expression that cannot be read",
        UNCLOSED: "An expression without an end",
        REFUSED: "Syntax that expressions do not have",
        TOO_LARGE: "An expression that is too large",
        LITERAL: "A literal that no value can hold",
        UNKNOWN_NAME: "An unknown name",
        UNKNOWN_FUNCTION: "An unknown function",
        ARGUMENTS: "Arguments that do not fit",
        COMPUTED_TASK: "A task that is computed",
        UNKNOWN_FIELD: "A field that tasks do not have",
        NOT_HERE: "A name that means nothing here",
        BOUND_NAME: "A name that cannot be bound",
        WHOLE_SECRETS: "All secrets at once",
        TEXT_CONDITION: "A text as a condition",
        PATTERN: "A pattern that cannot be read",
    }
)
