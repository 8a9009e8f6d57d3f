"""Every command that the documentation tells people to type is one, with options that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbuilder.cli.command import TABLE, command_of
from flowbuilder.cli.main import find
from flowbuilder.cli.parsing import UsageError, parse

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs" / "learn").glob("*.md")),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((ROOT / "docs" / "reference").glob("*.md")),
]


def typed(text: str) -> Iterator[str]:
    """Yield what is typed in blocks of shell, and in line where it has an option or an argument."""
    for language, block in re.findall(r"```(sh|console|bash)[^\n]*\n(.*?)```", text, re.DOTALL):
        block = block.replace("\\\n", " ")
        for line in block.splitlines():
            if language == "console":
                if not line.startswith("$ "):
                    continue
                line = line[2:]
            yield line
    for line in re.findall(r"`((?:\.venv/bin/)?flowbuilder [a-z][^`\n]*)`", text):
        yield line


def words_of(line: str) -> Iterator[list[str]]:
    """Yield the words of each call of flowbuilder on a line, without what the shell makes of the rest."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    for place, word in enumerate(words):
        if word.rpartition("/")[2] != "flowbuilder" or (place and words[place - 1] in ("install", "import")):
            continue
        rest = words[place + 1 :]
        ends = [
            number
            for number, each in enumerate(rest)
            if each in ("|", "&&", ";", ">", "2>", "&", "||", "2>&1", "<")
        ]
        yield rest[: ends[0]] if ends else rest


CALLS = sorted(
    {
        (page.name, shlex.join(words))
        for page in PAGES
        for line in typed(page.read_text())
        for words in words_of(line)
    }
)


def test_there_are_many() -> None:
    assert len(CALLS) > 100


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_what_is_to_be_typed_is_a_command(page: str, call: str) -> None:
    words = shlex.split(call)
    name, rest = find(words)
    if name in TABLE and "--help" not in rest and not placeholder(rest):
        try:
            parse(command_of(name), rest)
        except UsageError as error:
            if "required" in str(error) or "expected one argument" in str(error):
                return  # a command is named in a sentence, without what it is given
            pytest.fail(f"{page}: flowbuilder {call}: {error}")


def placeholder(words: list[str]) -> bool:
    """Tell whether a command is shown in general: `--format text|json`, `[FILE]`, `…`."""
    return not words or any("…" in word or "[" in word.strip("'\"")[:1] or "|" in word for word in words)
