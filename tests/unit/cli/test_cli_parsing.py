"""Which command is meant, and what it is given."""

import pytest

from flowbuilder.cli.command import JSON, STORE, Argument, Command, Option
from flowbuilder.cli.main import find
from flowbuilder.cli.parsing import UsageError, parse

COMMAND = Command(
    name="run",
    summary="Run",
    arguments=(Argument("FILE", "A file"), Argument("REST", "More", count="any")),
    options=(
        Option(("--input", "-i"), "An input", "KEY=VALUE", repeated=True),
        Option(("--priority",), "How urgent", "N", takes="integer"),
        Option(("--timeout",), "How long", "DURATION", takes="duration"),
        Option(("--format",), "As what", "FORMAT", choices=("text", "json"), default="text"),
        STORE,
        JSON,
    ),
)

_ALL = "it has --input, --priority, --timeout, --format, --store, --json"


def test_options_and_arguments_may_stand_in_any_order() -> None:
    before = parse(COMMAND, ["-i", "a=1", "--json", "f.yaml", "-ib=2", "--timeout=1m"])

    assert (before.file, before.input, before.json, before.timeout) == ("f.yaml", ["a=1", "b=2"], True, 60.0)
    assert (before.priority, before.format, before.rest) == (None, "text", [])


def test_what_follows_two_dashes_is_an_argument() -> None:
    assert parse(COMMAND, ["f", "--", "--json"]).rest == ["--json"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ([], "required", ""),
        (["f", "--jsn"], "there is no option '--jsn'", "did you mean '--json'?"),
        (["f", "--stor=x"], "there is no option '--stor'", "did you mean '--store'?"),
        (["f", "--jso"], "there is no option", "did you mean '--json'?"),
        (["f", "--by", "ann"], "there is no option '--by'", _ALL),
        (["f", "--priority", "high"], "'high' is no whole number", ""),
        (["f", "--timeout", "10"], "'10' has no unit", ""),
        (["f", "--format", "xml"], "invalid choice", ""),
        (["f", "--store"], "expected one argument", ""),
    ],
)
def test_a_mistake_is_named_and_the_nearest_name_offered(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(COMMAND, words)

    assert message in str(caught.value)
    assert caught.value.hint == hint
    assert caught.value.command == "run"


@pytest.mark.parametrize(
    ("words", "name", "rest"),
    [
        ([], "", []),
        (["--help"], "", ["--help"]),
        (["help"], "", ["--help"]),
        (["help", "run"], "run", ["--help"]),
        (["help", "runs", "list"], "runs list", ["--help"]),
        (["--version"], "version", []),
        (["run", "f.yaml", "--json"], "run", ["f.yaml", "--json"]),
        (["runs"], "runs", []),
        (["runs", "--help"], "runs", ["--help"]),
        (["runs", "list", "-n", "3"], "runs list", ["-n", "3"]),
    ],
)
def test_the_command_is_found(words: list[str], name: str, rest: list[str]) -> None:
    assert find(words) == (name, rest)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rnu", "f.yaml"], "did you mean 'run'?"),
        (["valdate"], "did you mean 'validate'?"),
        (["runs", "lsit"], "did you mean 'list'?"),
        (["flow.yaml"], "did you mean 'flowbuilder run flow.yaml'?"),
        (["zebra"], ""),
    ],
)
def test_a_word_that_is_no_command_is_a_mistake(words: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(words)

    assert caught.value.hint == hint
