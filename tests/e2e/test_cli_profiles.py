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


def test_config_that_does_not_fit_is_a_wrong_file_and_says_the_line(shop: Cli) -> None:
    (shop.folder / "flowbuilder.toml").write_text(
        '# two of them\nprofile = "dev"\n[profiles.dev]\n[profiles.dev.config]\nsize = 3\nregion = 7\n'
        "[profiles.prod.config]\nsize = 3\n"
    )

    wrong = shop("run", "sell.yaml")
    missing = shop("run", "sell.yaml", "--profile", "prod")

    assert (wrong.returncode, missing.returncode) == (3, 3)
    assert "flowbuilder.toml:6, profile 'dev': config.region: 7 is not of type" in wrong.stderr
    assert "the flow 'sell' says under `config` what it takes" in wrong.stderr
    assert "flowbuilder.toml:7, profile 'prod': config.region: is required" in missing.stderr
    assert "add region = … under [profiles.prod.config]" in missing.stderr
    assert "inputs" not in wrong.stderr + missing.stderr


def test_what_is_wrong_with_inputs_and_config_is_said_at_once(shop: Cli) -> None:
    (shop.folder / "flowbuilder.toml").write_text("[profiles.dev]\nconfig = {region = 7}\n")
    shop.flow(
        FLOW.replace("triggers:", "inputs: {day: {type: string}}\n    x-:").replace("sell", "buy"), "buy.yaml"
    )

    refused = shop("run", "buy.yaml")

    assert refused.returncode == 2
    assert "$.day: is required" in refused.stderr
    assert "flowbuilder.toml:2, profile 'dev': config.region: 7 is not of type" in refused.stderr


def test_a_connection_that_is_described_wrongly_is_said_with_its_line(shop: Cli) -> None:
    (shop.folder / "flowbuilder.toml").write_text(
        '[profiles.dev.connections.shop]\ntype = "mysql"\nhost = "db"\n"pasword" = "x"\n'
        '[profiles.dev.connections.mail]\ntype = "smpt"\n'
    )

    tried = shop.json("connections", "test", "--json", code=1)["connections"]

    assert "no 'pasword'" in tried[0]["problem"]
    assert tried[0]["where"].endswith("flowbuilder.toml:4, profile 'dev'")
    assert "did you mean 'password'?" in tried[0]["hint"]
    assert tried[1]["where"].endswith("flowbuilder.toml:6, profile 'dev'")
