"""`$FLOWBUILDER_OUTPUT`: what a script tells its flow, line by line.

`name=value` is a value; `name<<END`, and all lines up to `END`, one of
several lines, as files of CI systems have it.  A name that comes again
replaces the one before.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

from flowbuilder.core.errors import TaskFailed

VARIABLE: Final = "FLOWBUILDER_OUTPUT"
MOST_BYTES: Final = 1024 * 1024
_LINE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,99})(?:=(.*)|<<(\S+)\s*)", re.DOTALL)


def make_file() -> Path:
    """Return an empty file that a script can write its values to."""
    with tempfile.NamedTemporaryFile(prefix="flowbuilder-output-", delete=False) as file:
        return Path(file.name)


def read_values(file: Path) -> dict[str, str]:
    """Return the values in a file.

    Raises:
        TaskFailed: `shell.output` if there is what is no value, or too much.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError:  # the script has deleted it
        return {}
    if len(data) > MOST_BYTES:
        raise TaskFailed(
            "shell.output", f"${VARIABLE} has more than {MOST_BYTES:,} bytes: give large results by `files`"
        )
    return parse(data.decode("utf-8", "replace"))


def parse(text: str) -> dict[str, str]:
    """Return the values in a text."""
    values: dict[str, str] = {}
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number].removesuffix("\r")
        number += 1
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise TaskFailed(
                "shell.output",
                f"line {number} of ${VARIABLE} is neither name=value nor name<<END; "
                "a name has letters, digits, '_' and '-'",
            )
        name, value, end = match.groups()
        if end is None:
            values[name] = value
            continue
        begun, inner = number, []
        while number < len(lines) and lines[number].removesuffix("\r") != end:
            inner.append(lines[number].removesuffix("\r"))
            number += 1
        if number == len(lines):
            raise TaskFailed(
                "shell.output", f"'{name}<<{end}' in line {begun} of ${VARIABLE} is never ended by '{end}'"
            )
        number += 1
        values[name] = "\n".join(inner)
    return values
