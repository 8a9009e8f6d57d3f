"""How a child process ended, in words that say what to do about it."""

from __future__ import annotations

import signal
from typing import Final

_ADVICE: Final = {
    signal.SIGPIPE: "a program of a pipeline went on writing when the next had read enough, which `pipefail` counts "
    "as a failure: write `(… || true) | head`, or `set +o pipefail`",
    signal.SIGKILL: "somebody killed it, or the machine had no memory left",
    signal.SIGXFSZ: "it wrote a larger file than it may",
}


def ending(code: int) -> str:
    """Return how a process ended: its exit code, or the signal, of which a shell makes 128 and its number."""
    number = code - 128
    if not 0 < number < 65:
        return f"exit code {code}"
    try:
        found = signal.Signals(number)
    except ValueError:  # one of those for real time
        return f"ended by signal {number}"
    advice = _ADVICE.get(found)
    return f"ended by signal {number} ({found.name})" + (f", since {advice}" if advice else "")
