import base64
import json
import re
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbuilder.core.masking import Masker

SECRET = 'p@ss "wörd"/with+all\\of it~'
MASKER = Masker({"TOKEN": SECRET, "PIN": "1234"})

ENCODED = {
    "raw": SECRET,
    "percent": urllib.parse.quote(SECRET, safe=""),
    "percent, slashes kept": urllib.parse.quote(SECRET),
    "percent, lower case": re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(SECRET, safe="")),
    "form": urllib.parse.quote_plus(SECRET),
    "json": json.dumps(SECRET)[1:-1],
    "json, not only ASCII": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "json, slashes escaped": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64, for URLs, no padding": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("form", ENCODED)
def test_a_secret_is_masked_in_every_spelling(form: str) -> None:
    text = ENCODED[form]
    assert MASKER.text(f"<{text}>") == "<***>"
    assert MASKER.bytes(f"<{text}>".encode()) == b"<***>"


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "né:"])
@pytest.mark.parametrize("after", ["", "\n", ":x", "xyz"])
def test_in_base64_nothing_but_the_neighbours_bits_stay(before: str, after: str) -> None:
    encoded = base64.b64encode((before + SECRET + after).encode()).decode()
    masked = MASKER.text(encoded)
    assert "***" in masked
    # at most a character at each side, which holds bits of the neighbour too, is left of the secret
    assert len(masked) - 3 <= len(base64.b64encode((before + after).encode())) + 8


def test_short_values_are_named_and_left_alone() -> None:
    assert MASKER.short == ("PIN",)
    assert MASKER.text("order 1234567") == "order 1234567"


def test_a_masker_without_anything_to_find_is_false() -> None:
    assert not Masker({})
    assert not Masker({"PIN": "1234567"})
    assert MASKER
    assert Masker({}).text("anything") == "anything"
    assert Masker({}).stream().feed(b"anything") == b"anything"


def test_values_are_masked_inside_and_shared_where_nothing_is_found() -> None:
    clean = {"a": [1, 2.5, None, True, "x"], "b": {"c": b"y"}}
    assert MASKER.value(clean) is clean
    value = {SECRET: [SECRET, {"x": SECRET.encode()}], "same": clean}
    masked = MASKER.value(value)
    assert masked == {"***": ["***", {"x": b"***"}], "same": clean}
    assert masked["same"] is clean
    assert value[SECRET][0] == SECRET


def test_keys_that_mask_alike_stay_apart() -> None:
    masker = Masker({"A": "first-secret", "B": "second-secret"})
    assert masker.value({"first-secret": 1, "second-secret": 2, "***": 3}) == {
        "****": 1,
        "*****": 2,
        "***": 3,
    }


def test_a_secret_that_is_a_number_is_masked_as_one_too() -> None:
    masker = Masker({"CARD": "4111111111111111"})
    assert masker.value([4111111111111111, 42]) == ["***", 42]


def test_the_longer_of_two_secrets_wins() -> None:
    masker = Masker({"A": "12345678", "B": "1234567890"})
    assert masker.text("1234567890 12345678") == "*** ***"


def test_lines_of_a_secret_are_masked_one_by_one() -> None:
    masker = Masker({"KEY": "first line of it\nsecond line of it\nend\n"})
    assert masker.text("> first line of it\n> second line of it\n> end") == "> ***\n> ***\n> end"


SMALL = Masker({"A": "abababab", "B": "babababababa", "C": "bbbbbbbba"})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="ab", max_size=12).map(str.encode), max_size=12))
def test_a_stream_in_any_chunks_is_masked_as_the_whole(chunks: list[bytes]) -> None:
    stream = SMALL.stream()
    out = b"".join(map(stream.feed, chunks)) + stream.close()
    assert out == SMALL.bytes(b"".join(chunks))


@settings(max_examples=100, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", min_codepoint=33), min_size=8, max_size=30),
    st.binary(max_size=5),
    st.binary(max_size=5),
)
def test_no_spelling_of_any_secret_gets_through(secret: str, before: bytes, after: bytes) -> None:
    masker = Masker({"S": secret})
    for text in (
        secret,
        urllib.parse.quote(secret),
        json.dumps(secret),
        base64.b64encode(secret.encode()).decode(),
    ):
        assert text not in masker.text(f"a{text}b")
    whole = base64.b64encode(before + secret.encode() + after).decode()
    assert "***" in masker.text(whole)
