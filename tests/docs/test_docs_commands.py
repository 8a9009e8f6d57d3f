"""The pages that list commands know all of them, and the examples' page the patterns."""

import re
from pathlib import Path

from flowbuilder.cli.command import TABLE

ROOT = Path(__file__).parents[2]


def test_the_guide_to_the_command_line_lists_every_command() -> None:
    page = (ROOT / "docs/guides/command-line.md").read_text()
    table = page.partition("## All commands")[2].partition("\n## ")[0]

    assert set(re.findall(r"`([a-z]+(?: [a-z]+)?)`", table)) >= set(TABLE)


def test_the_readme_lists_every_command() -> None:
    commands = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("\n## ")[0]

    for name in TABLE:
        assert all(re.search(rf"\b{word}\b", commands) for word in name.split() if word != "list"), name


def test_every_pattern_has_an_example() -> None:
    page = (ROOT / "examples/README.md").read_text().partition("## Patterns")[2]
    named = re.findall(r"\]\((\w+)/flow\.yaml\)", page)

    assert len(named) == len(set(named)) == 15
    for name in named:
        assert (ROOT / "examples" / name / "flow.yaml").is_file(), name


def test_every_example_stands_in_the_list_of_examples() -> None:
    page = (ROOT / "examples/README.md").read_text()

    for folder in sorted((ROOT / "examples").iterdir()):
        if list(folder.glob("flow.*")):
            assert f"]({folder.name}/flow." in page, folder.name
