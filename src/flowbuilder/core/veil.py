"""Finding the texts of sensitive values, however many and long, in what a run logs and reports.

A secret is one text, looked for in every spelling (`masking.Masker`).  What is
sensitive may be a table of a million texts, or one of a million characters,
of which a log shows a line.  So the first texts are looked for as secrets are;
of the rest there is an index:

- a short text (up to `SHORT` characters) is found as it is;
- of a longer one any piece of `PIECE` characters is found, in base64 too.

Looking takes time in proportion to what is looked through, whatever there is
to find, and the index is made when the first line is logged.
"""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.masking import MASK, SHORTEST, Masker

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_SPELLED: Final = 50
"""Texts that are looked for in every spelling, and how many characters they have at most."""
LONGEST_SPELLED: Final = 4096
SHORT: Final = 64
"""Characters up to which a text is looked for as a whole."""
BLOCK: Final = 16
"""Every so many characters of a longer text there is an entry of the index, so many characters long."""
PIECE: Final = 2 * BLOCK - 1
"""A piece of so many characters holds a block whole."""
MOST_ENTRIES: Final = 1 << 18
"""Of the index; the blocks of a text that takes more than half of what is left stand farther apart."""
MOST_CHARACTERS: Final = 64 * 1024 * 1024
"""Of longer texts, their base64 among them; what comes behind so many is not looked for."""
LONGEST_IN_BASE64: Final = 1024 * 1024
MOST_WAITING: Final = 256
"""Values that wait until a line is logged; a loop without end has more, and they are not to pile up."""
_PLACE_BITS: Final = 40


class Veil:
    """Masks the texts of values.  Any thread may use it."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        """What is still to be taken into the index; nobody changes a value."""
        self._lock = threading.RLock()
        self._spelled: dict[str, str] = {}
        self._masker = Masker({})
        self._short: dict[str, dict[int, set[str]]] = {}
        """Short texts by how they begin and how long they are."""
        self._blocks: dict[str, int] = {}
        """Where blocks stand: the number of the text, and the place in it."""
        self._texts: list[str] = []
        self._entries = self._characters = 0

    def add(self, value: Any) -> None:
        """Have the texts in a value masked from here on."""
        with self._lock:
            if self._is_full():
                return
            self._values.append(value)
            if len(self._values) > MOST_WAITING:
                self._take_in()

    def text(self, text: str) -> str:
        """Return a text in which what is sensitive is masked."""
        if len(text) < SHORTEST:
            return text
        with self._lock:
            if self._values:
                self._take_in()
            text = self._masker.text(text)
            if self._blocks:
                text = self._without_pieces(text)
            return self._without_short(text) if self._short else text

    def value(self, value: Any) -> Any:
        """Return a value with all texts in it masked, keys among them, and numbers that spell a sensitive text."""
        with self._lock:
            if self._values:
                self._take_in()
            masked = self._masker.value(value)
            return self._value(masked) if self._blocks or self._short else masked

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            masked: dict[Any, Any] = {}
            for key, item in value.items():
                new = self._value(key)
                while new in masked:
                    new += "*"  # two keys that mask alike are still two
                masked[new] = self._value(item)
            return masked
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return value

    # -- the index ---------------------------------------------------------------------

    def _take_in(self) -> None:
        spelled = len(self._spelled)
        for value in self._values:
            for text in texts_in(value):
                self._take(text)
        self._values.clear()
        if len(self._spelled) > spelled:
            self._masker = Masker(self._spelled)

    def _take(self, text: str) -> None:
        if len(text) <= LONGEST_SPELLED and (text in self._spelled or len(self._spelled) < MOST_SPELLED):
            self._spelled[text] = text
        elif not self._is_full():
            if len(text) <= SHORT:
                self._short.setdefault(text[:SHORTEST], {}).setdefault(len(text), set()).add(text)
                self._entries += 1
            else:
                self._index(text)
                for spelling in _in_base64(text) if len(text) <= LONGEST_IN_BASE64 else ():
                    self._index(spelling)

    def _is_full(self) -> bool:
        return self._entries >= MOST_ENTRIES or self._characters >= MOST_CHARACTERS

    def _index(self, text: str) -> None:
        """Note where every block of a text stands; of one too large for what is left, blocks farther apart."""
        room = max((MOST_ENTRIES - self._entries) // 2, 1)
        step = BLOCK * -(-len(text) // (BLOCK * room))
        number = len(self._texts) << _PLACE_BITS
        self._texts.append(text)
        self._characters += len(text)
        blocks = self._blocks
        before = len(blocks)
        for place in range(0, len(text) - BLOCK + 1, step):
            blocks.setdefault(text[place : place + BLOCK], number | place)
        self._entries += len(blocks) - before

    # -- looking -----------------------------------------------------------------------

    def _without_pieces(self, text: str) -> str:
        """Return a text without what it has in common with longer ones, from any block as far as it goes."""
        parts: list[str] = []
        blocks, done, place = self._blocks, 0, 0
        last = len(text) - BLOCK
        while place <= last:
            found = blocks.get(text[place : place + BLOCK])
            if found is None:
                place += 1
                continue
            source, at = self._texts[found >> _PLACE_BITS], found & ((1 << _PLACE_BITS) - 1)
            begin = place - _alike_before(text, place, done, source, at)
            place += _alike_behind(text, place, source, at)
            parts += (text[done:begin], MASK)
            done = place
        return "".join((*parts, text[done:])) if parts else text

    def _without_short(self, text: str) -> str:
        parts: list[str] = []
        short, done, place = self._short, 0, 0
        last = len(text) - SHORTEST
        while place <= last:
            alike = short.get(text[place : place + SHORTEST])
            size = 0 if alike is None else _longest_at(text, place, alike)
            if not size:
                place += 1
                continue
            parts += (text[done:place], MASK)
            done = place = place + size
        return "".join((*parts, text[done:])) if parts else text


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in a value that are long enough to be masked, in order."""
    stack = [value]
    while stack:
        part = stack.pop()
        if type(part) is str:
            if len(part) >= SHORTEST:
                yield part
        elif type(part) is dict:
            stack += reversed(part.values())
        elif type(part) is list:
            stack += reversed(part)


def _in_base64(text: str) -> Iterator[str]:
    """Yield a text's base64, by where it may begin in what was encoded."""
    raw = text.encode("utf-8", "surrogatepass")
    for cut in range(3):
        yield base64.b64encode(raw[cut:]).decode().rstrip("=")


def _longest_at(text: str, place: int, alike: dict[int, set[str]]) -> int:
    """Return the length of the longest of some texts that stands at a place; 0 where none does."""
    return max((size for size, some in alike.items() if text[place : place + size] in some), default=0)


def _alike_before(text: str, place: int, border: int, source: str, at: int) -> int:
    """Return how many characters before two places are the same."""
    count = 0
    while place - count > border and at - count > 0 and text[place - count - 1] == source[at - count - 1]:
        count += 1
    return count


def _alike_behind(text: str, place: int, source: str, at: int) -> int:
    """Return how many characters from two places on are the same."""
    count, most = BLOCK, min(len(text) - place, len(source) - at)
    while count < most and text[place + count] == source[at + count]:
        count += 1
    return count
