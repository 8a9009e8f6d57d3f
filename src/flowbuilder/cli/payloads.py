"""Payloads from the command line: JSON, a file of it, or `key=value` pairs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.cli.command import Argument, Option
from flowbuilder.cli.exits import USAGE
from flowbuilder.cli.inputs import from_text
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.terminal import complain, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.errors import InputError

DATA: Final = Option(
    ("--data", "-d"), "The payload as JSON; `@FILE` for a file of it, `@-` for standard input", "JSON"
)
PAIRS: Final = Argument("KEY=VALUE", "Members of the payload; a value that is no JSON is a text", count="any")
ID: Final = Option(("--id",), "Makes sending it twice send it once", "TEXT")


def payload_of(data: str | None, pairs: Iterable[str], command: str) -> Any:
    """Return the payload that a command gives: null where there is none.

    Raises:
        UsageError: it cannot be read.
    """
    payload = None if data is None else _json(_text(data, command), command)
    members: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            short = pair if len(pair) <= 40 else pair[:39] + "…"
            word = pair.isidentifier()
            hint = f"write `{pair}=VALUE`" if word else "a payload as JSON is given with `--data`"
            raise UsageError(f"'{short}' is no member of a payload: members are KEY=VALUE", command, hint)
        members[name] = from_text(text, {})
    if not members:
        return payload
    if payload is not None and not isinstance(payload, dict):
        raise UsageError("--data is no mapping, so that no KEY=VALUE can go into it", command)
    return {**(payload or {}), **members}


def refused(error: InputError, what: str) -> int:
    """Say all that is wrong with what was given; returns the exit code."""
    complain(f"{what} cannot be taken")
    for path, wrong in error.violations:
        say(f"  {path}: {wrong}")
    return USAGE


def _text(data: str, command: str) -> bytes:
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    if data == "@-":
        return sys.stdin.buffer.read()
    try:
        with open(data[1:], "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UsageError(f"{data[1:]} cannot be read: {error.strerror}", command) from None


def _json(text: bytes, command: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "a text stands in quotes: '\"like this\"'"
        raise UsageError(f"--data is no JSON: {error}", command, hint) from None
