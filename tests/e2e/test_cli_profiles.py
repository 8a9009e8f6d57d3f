"""`--profile` of the commands that start runs of themselves, and which profile holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import Cli

PROFILES = """
profile = "dev"
[profiles.dev.config]
region = "north"
[profiles.prod.config]
region = "south"
"""
FLOW = """
    flow: sell
    config: {region: {type: string}}
    triggers:
      - cron: "0 0 1 1 *"
        name: yearly
    tasks:
      a: {type: set, with: "${{ config.region }}"}
    outputs: {region: "${{ tasks.a.output }}"}
"""


@pytest.fixture
def shop(cli: Cli) -> Cli:
    """A project with two profiles."""
    (cli.folder / "flowbuilder.toml").write_text(PROFILES)
    cli.flow(FLOW, "sell.yaml")
    return cli


def test_config_shows_the_profile_that_holds_and_who_has_chosen_it(shop: Cli) -> None:
    by_file = shop.json("config", "--json")["profile"]
    named = shop.json("config", "--profile", "prod", "--json")["profile"]

    assert by_file == {
        "name": "dev",
        "from": "'profile' in flowbuilder.toml",
        "config": {"region": "north"},
        "connections": [],
    }
    assert (named["name"], named["config"]) == ("prod", {"region": "south"})
    assert "profile dev" in shop("config").stderr


def test_what_is_started_by_hand_backfilled_or_done_again_has_the_profile_that_is_named(shop: Cli) -> None:
    named = ("--profile", "prod")
    triggered = shop.json("schedules", "trigger", "yearly", *named, "--json")
    assert triggered["outputs"] == {"region": "south"}
    shop("backfill", "sell.yaml", "--from", "2025-01-01", "--to", "2025-01-01", *named)
    run_id = shop.json("run", "sell.yaml", "--json")["run_id"]
    assert shop.json("runs", "rerun", run_id, *named, "--json")["outputs"] == {"region": "south"}
    assert shop.json("runs", "fork", run_id, "--from", "a", *named, "--json")["outputs"] == {
        "region": "south"
    }

    shown = [
        shop.json("runs", "show", row["run_id"], "--json")
        for row in shop.json("runs", "list", "--json")["runs"]
    ]
    assert sorted(run["outputs"]["region"] for run in shown) == ["north", *["south"] * 4]


@pytest.mark.parametrize(
    "words",
    [("up", ".", "--once"), ("backfill", "sell.yaml", "--from", "2025-01-01"), ("config",)],
    ids="/".join,
)
def test_a_profile_that_is_not_there_is_refused_with_the_nearest(shop: Cli, words: tuple[str, ...]) -> None:
    refused = shop(*words, "--profile", "prd")

    assert refused.returncode != 0
    assert "did you mean 'prod'?" in refused.stderr
    assert "Traceback" not in refused.stderr
