"""Limits on the command line: what waits, what is refused, `flowbuilder limits`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import Cli

FLOW = """
flow: t
inputs: {n: {type: integer, default: 1}}
concurrency: {limit: 1, key: all}
tasks:
  paced: {type: log, with: {message: hi}, rate_limit: {limit: 2, per: 1h, key: site}}
  lifted: {run: "true", queue: crane, resources: {cpu: 0.1}}
  broken:
    type: fail
    with: {kind: boom, message: no}
    circuit_breaker: {failures: 2, reset: 1h, key: shop}
    on_error: continue
"""


@pytest.fixture
def project(cli: Cli) -> Cli:
    (cli.folder / "flow.yaml").write_text(FLOW)
    (cli.folder / "flowbuilder.toml").write_text("[queues.crane]\nconcurrency = 2\n")
    return cli


def test_limits_are_listed_with_their_state_and_begin_anew(project: Cli) -> None:
    for n in ("1", "2"):
        assert project("run", "flow.yaml", "-i", f"n={n}", "--quiet").returncode == 0, n
        if n == "1":
            shown = {each["kind"]: each for each in project.json("limits", "--json")["limits"]}
            assert shown["rate"]["key"] == "site"
            assert (shown["rate"]["limit"], shown["rate"]["state"]) == (2, "busy")
            assert (shown["breaker"]["state"], shown["breaker"]["used"]) == ("closed", 1)
            assert (shown["queue"]["key"], shown["queue"]["limit"]) == ("crane", 2)
            assert project("limits", "reset", "rate", "site").returncode == 0

    (breaker,) = project.json("limits", "list", "--kind", "breaker", "--json")["limits"]
    assert breaker["state"] == "open"
    assert breaker["next_at"] is not None
    assert project("limits", "reset", "breaker", "shop").returncode == 0
    assert project.json("limits", "--kind", "breaker", "--json")["limits"] == []
    table = project("limits").stdout
    assert "crane" in table
    assert "site" in table


def test_a_limit_that_is_not_there_cannot_begin_anew(project: Cli) -> None:
    project("run", "flow.yaml", "--quiet")

    done = project("limits", "reset", "breaker", "shp")
    assert done.returncode != 0
    assert "there are 'shop'" in done.stderr
    assert project("limits", "reset", "queue", "crane").returncode == 2


def test_a_misspelt_queue_is_found_by_validate(project: Cli) -> None:
    (project.folder / "flow.yaml").write_text(FLOW.replace("queue: crane", "queue: crnae"))

    done = project("validate", "flow.yaml")
    assert done.returncode == 3
    assert "FB267 there is no queue 'crnae'" in done.stdout
    assert "did you mean 'crane'?" in done.stdout
    assert project("run", "flow.yaml").returncode == 3


def test_a_queue_of_the_settings_is_a_setting_like_any_other(project: Cli) -> None:
    shown = project("config", "queues.crane").stdout
    assert "queues.crane.concurrency = 2" in shown
    done = project("config", "queues.crane.concurrency", "--json")
    assert '"value":2' in done.stdout
    done = project("config", FLOWBUILDER_QUEUES__CRANE__CONCURRENCY="7")
    assert "FLOWBUILDER_QUEUES__CRANE__CONCURRENCY" in done.stdout
    (project.folder / "flowbuilder.toml").write_text("[queues.crane]\nconcurency = 2\n[queue.x]\n")
    wrong = project("config")
    assert "did you mean 'concurrency'?" in wrong.stderr
    assert "did you mean 'queues'?" in wrong.stderr


def test_a_second_command_waits_for_its_turn_and_a_queued_run_is_cancelled(project: Cli) -> None:
    (project.folder / "flow.yaml").write_text("""
flow: t
inputs: {n: {type: integer}}
concurrency: 1
tasks:
  a: {run: "while [ ! -e go ]; do sleep 0.02; done"}
""")
    first = project.start("run", "flow.yaml", "-i", "n=1", "--quiet")
    until_status(project, "running", 1)
    second = project.start("run", "flow.yaml", "-i", "n=2", "--quiet")
    until_status(project, "queued", 1)
    third = project.start("run", "flow.yaml", "-i", "n=3", "--quiet")
    until_status(project, "queued", 2)
    (lane,) = project.json("limits", "--kind", "concurrency", "--json")["limits"]
    assert (lane["used"], lane["limit"], lane["waiting"], lane["state"]) == (1, 1, 2, "full")

    newest = project.json("runs", "list", "--json")["runs"][0]["run_id"]
    done = project("runs", "cancel", newest)
    assert f"run {newest} had not begun, and is cancelled" in done.stderr
    (project.folder / "go").touch()
    assert first.wait(30) == 0
    assert second.wait(30) == 0
    assert third.wait(30) != 0


def test_a_command_waits_until_no_other_start_has_followed(project: Cli) -> None:
    (project.folder / "flow.yaml").write_text("""
flow: t
inputs: {n: {type: integer}}
debounce: 1s
tasks: {a: {type: set, with: "${{ inputs.n }}"}}
outputs: {n: "${{ tasks.a.output }}"}
""")
    second = project.json("run", "flow.yaml", "-i", "n=2", "--json", "--quiet")

    assert second["outputs"] == {"n": 2}
    (row,) = project.json("runs", "list", "--json")["runs"]
    assert row["status"] == "succeeded"


def until_status(project: Cli, status: str, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done = project("runs", "list", "--status", status, "--json")
        if done.returncode == 0 and done.stdout.count('"run_id"') == count:
            return
        time.sleep(0.05)
    raise AssertionError(f"there are not {count} runs {status}")
