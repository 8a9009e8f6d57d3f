"""`flowbuilder cache list` and `cache clear`."""

import pytest
from command_line import Cli

FLOW = """
    flow: rates
    inputs: {day: {type: string}}
    tasks:
      fetch: {run: 'echo x >> calls; echo "$D"', env: {D: "${{ inputs.day }}"}, cache: {key: "${{ inputs.day }}", ttl: 1h}}
      other: {run: echo o, cache: {key: [a, 1], scope: global}}
"""


@pytest.fixture
def cached(cli: Cli) -> Cli:
    flow = cli.flow(FLOW)
    for day in ("mon", "mon", "tue"):
        assert cli("run", flow, "-i", f"day={day}").returncode == 0
    return cli


def test_what_is_kept_is_listed_and_filtered(cached: Cli) -> None:
    found = cached.json("cache", "list", "--json")["outputs"]
    table = cached("cache", "list").stdout

    assert sorted((one["task"], one["key"]) for one in found) == [
        ("fetch", '"mon"'),
        ("fetch", '"tue"'),
        ("other", '["a",1]'),
    ]
    assert all(one["flow"] == "rates" and one["size"] > 0 for one in found)
    assert "never" in table
    assert "in 1h" in table or "in 59m" in table
    assert len(cached.json("cache", "list", "--task", "fetch", "--key", "mon", "--json")["outputs"]) == 1
    assert cached.json("cache", "list", "--flow", "none", "--json") == {"outputs": []}


def test_what_is_cleared_is_made_anew(cached: Cli) -> None:
    calls = cached.folder / "calls"
    assert calls.read_text().count("x") == 2

    assert cached.json("cache", "clear", "--task", "fetch", "--key", "mon", "--json") == {"cleared": 1}
    for day in ("mon", "tue"):
        assert cached("run", "flow.yaml", "-i", f"day={day}").returncode == 0

    assert calls.read_text().count("x") == 3
    assert cached.json("cache", "clear", "--all", "--json") == {"cleared": 3}
    assert cached.json("cache", "list", "--json") == {"outputs": []}


def test_clear_wants_to_know_what(cached: Cli) -> None:
    assert cached("cache", "clear").returncode == 2
    assert cached("cache", "clear", "--all", "--flow", "rates").returncode == 2
    assert "--all" in cached("cache", "clear").stderr
