"""Texts of sensitive values are found in logs, however long and many they are, in time that grows with the log only."""

from __future__ import annotations

import base64
import json
import random
import string
import time

import pytest

from flowbuilder.core.masking import MASK
from flowbuilder.core.veil import MOST_CHARACTERS, MOST_ENTRIES, MOST_WAITING, PIECE, Veil

LETTERS = string.ascii_letters + string.digits + ' äöü€\n"\\'


def text_of(size: int, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices(LETTERS, k=size))


def veil_of(*values: object) -> Veil:
    veil = Veil()
    for value in values:
        veil.add(value)
    return veil


@pytest.mark.parametrize("size", [65, 4097, 100_000])
def test_any_piece_of_a_long_text_is_masked(size: int) -> None:
    filling = [f"some text {n}" for n in range(60)]
    long = text_of(size)
    veil = veil_of(filling, {"deep": [long]})

    for start in range(0, size - PIECE, max(size // 50, 1)):
        piece = long[start : start + PIECE]
        assert veil.text(f"<<{piece}>>") == f"<<{MASK}>>", start
    assert veil.text(long) == MASK
    assert veil.text(f"a {long} b {long[10:60]} c") == f"a {MASK} b {MASK} c"
    assert veil.text("nothing of it is here, but much else that is long enough") == (
        "nothing of it is here, but much else that is long enough"
    )


def test_a_long_text_is_masked_where_it_is_written_in_base64_or_json() -> None:
    long = text_of(10_000)
    veil = veil_of(long)

    for before in range(3):
        encoded = base64.b64encode(b"x" * before + long.encode()).decode()
        masked = veil.text(encoded)
        assert len(masked) < 20, before
    written = veil.text(json.dumps({"a": long}, ensure_ascii=False))
    assert len(written) < len(long) // 2
    for start in range(0, len(long) - 2 * PIECE, 7):
        assert long[start : start + 2 * PIECE] not in written


def test_each_of_many_texts_is_masked_as_a_whole() -> None:
    texts = [f"person-{n:06d}@example.com" for n in range(20_000)]
    veil = veil_of(texts)

    assert veil.text(f"from {texts[0]} to {texts[19_999]}, not to person-9") == (
        f"from {MASK} to {MASK}, not to person-9"
    )
    assert veil.value({"a": [texts[7_000], 5], texts[8_000]: b"x" + texts[9_000].encode()}) == {
        "a": [MASK, 5],
        MASK: b"x***",
    }


def test_the_longest_of_texts_that_begin_alike_is_masked() -> None:
    filling = [f"some text {n}" for n in range(60)]

    veil = veil_of(filling, ["abcdefgh", "abcdefgh-ijkl"])

    assert veil.text("abcdefgh-ijkl abcdefgh abcdefg") == f"{MASK} {MASK} abcdefg"


def test_what_is_remembered_is_bounded_however_much_is_sensitive() -> None:
    veil = Veil()
    for round in range(400_000):
        veil.add({"round": f"of a loop without end: {round}"})
    assert len(veil._values) <= MOST_WAITING + 1
    assert veil.text("of a loop without end: 17, 399999") == f"{MASK}, 399999"
    assert veil._entries <= MOST_ENTRIES
    for seed in range(10):
        veil = veil_of(text_of(3_000_000, seed)) if seed == 0 else veil
        veil.add(text_of(1_000_000, seed) * 30)
    veil.text("a line that is looked through")
    assert veil._characters <= MOST_CHARACTERS + 30_000_000


def test_time_grows_with_what_is_looked_through_and_not_with_its_square() -> None:
    """Repeated blocks and texts that begin alike are what a naive search falls for."""

    def seconds(size: int) -> float:
        veil = veil_of("ab" * size, [f"https://example.com/{n}" for n in range(size // 10)], text_of(size))
        log = "https://" * (size // 16) + "ab" * (size // 4)
        begun = time.perf_counter()
        veil.text(log)
        return time.perf_counter() - begun

    seconds(1000)
    small = max(min(seconds(20_000) for _ in range(3)), 0.001)
    assert seconds(200_000) < 40 * small


def test_a_line_of_which_nothing_is_sensitive_costs_little() -> None:
    veil = veil_of(text_of(1_000_000), [f"person-{n:06d}@example.com" for n in range(10_000)])
    line = "2026-11-26 03:00:00 the request was handled in 12 ms, and this is what logs look like"
    veil.text(line)
    begun = time.perf_counter()
    for _ in range(100):
        veil.text(line)

    assert (time.perf_counter() - begun) / 100 < 0.002
