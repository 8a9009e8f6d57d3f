"""What sensitive Python functions print is not seen: the engine's own output may go to a file.

A function that runs in the engine prints to the engine's standard output, and
one in a process of ours to the same.  While a sensitive one runs, `***` is
written there in place of what it prints, in its own thread or asyncio task;
what others print meanwhile is let through.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

_hushed: Final[ContextVar[bool]] = ContextVar("hushed", default=False)


class Hushed:
    """A function whose prints are not seen; equal to the function in all else."""

    __slots__ = ("__wrapped__",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        with _quiet():
            value = self.__wrapped__(*args, **kwargs)
        return _awaited(value) if type(value) is CoroutineType else value

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hushed) and other.__wrapped__ == self.__wrapped__

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        return (lambda: Hushed(found())) if name == "load" else found


class _Output:
    """A standard stream that writes `***` for those who are hushed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or what is shown in its place."""
        shown = MASK if _hushed.get() and text.strip() else text
        self._stream.write(shown)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


async def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with _quiet():
        return await coroutine


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and type(stream) is not _Output:
            setattr(sys, name, _Output(stream))
    token = _hushed.set(True)
    try:
        yield
    finally:
        _hushed.reset(token)
