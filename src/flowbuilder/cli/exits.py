"""Exit codes: what a script may rely on."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
"""The run failed, or the command could not do what it was asked."""
USAGE: Final = 2
WRONG_FILE: Final = 3
NOT_FOUND: Final = 5
TOO_LONG: Final = 8
"""Waited too long; the run goes on."""
CANCELLED: Final = 9
"""Cancelled by someone else."""
INTERRUPTED: Final = 130

MEANINGS: Final = {
    DONE: "done",
    FAILED: "the run failed, or the command could not do what it was asked",
    USAGE: "the command was given wrongly",
    WRONG_FILE: "the file is wrong",
    NOT_FOUND: "there is no such run, task or file",
    TOO_LONG: "waited too long; the run goes on",
    CANCELLED: "cancelled by someone else",
    INTERRUPTED: "interrupted",
}
