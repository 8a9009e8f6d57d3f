"""`flowbuilder cache list|clear --key` where the output is sensitive."""

import pytest
from command_line import Cli

from flowbuilder.runtime.encryption import new_key

FLOW = """
    flow: rates
    inputs: {day: {type: string}, n: {type: integer, default: 7}}
    tasks:
      fetch: {run: 'echo "$D"', sensitive: true, env: {D: "${{ inputs.day }}"}, cache: {key: "${{ inputs.day }}", ttl: 1h}}
      other: {run: 'echo o', sensitive: true, cache: {key: ["${{ inputs.n }}", "ü"], scope: global}}
"""


@pytest.fixture
def cached(cli: Cli) -> Cli:
    cli.environ["FLOWBUILDER_ENCRYPTION_KEY"] = new_key()
    flow = cli.flow(FLOW)
    for day in ("monday", "tuesday"):
        assert cli("run", flow, "-i", f"day={day}").returncode == 0
    return cli


def test_what_is_kept_of_sensitive_tasks_is_found_by_its_key_and_does_not_show_it(cached: Cli) -> None:
    assert {one["key"] for one in cached.json("cache", "list", "--json")["outputs"]} == {"***"}
    for key in ("monday", '"monday"', '[7, "ü"]'):
        assert len(cached.json("cache", "list", "--key", key, "--json")["outputs"]) == 1, key
    assert cached.json("cache", "list", "--key", "sunday", "--json") == {"outputs": []}
    assert cached.json("cache", "clear", "--key", "monday", "--json") == {"cleared": 1}
    assert len(cached.json("cache", "list", "--json")["outputs"]) == 2


def test_it_is_found_by_its_task_without_any_key(cached: Cli) -> None:
    del cached.environ["FLOWBUILDER_ENCRYPTION_KEY"]

    assert cached.json("cache", "list", "--key", "monday", "--json") == {"outputs": []}
    assert cached.json("cache", "clear", "--task", "fetch", "--json") == {"cleared": 2}
