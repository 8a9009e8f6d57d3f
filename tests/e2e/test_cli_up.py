"""`flowbuilder up` as a process: what it starts, what it reads again, how it ends, and who comes after it."""

import itertools
import json
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from command_line import PATIENCE, Cli

if TYPE_CHECKING:
    import subprocess

TICK = """
    flow: tick
    triggers:
      - every: 200ms
        name: often
    tasks:
      a: {type: set, with: "${{ trigger.scheduled_at }}"}
"""
LATER = """
    flow: later
    inputs:
      day: {type: string, format: date}
    triggers:
      - cron: "0 6 * * *"
        timezone: Europe/Berlin
        name: daily
        with: {day: "${{ trigger.scheduled_at | date }}"}
    tasks:
      a: {type: set, with: "${{ inputs.day }}"}
    outputs: {day: "${{ tasks.a.output }}"}
"""


class Up:
    """An `up` in a project, and what it has told."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self.process: subprocess.Popen[str] = cli.start("up", ".", "--json", *words)
        self.told: list[dict[str, Any]] = []

    def until(self, what: str, test: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Read what is told until something happens."""
        assert self.process.stdout is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            line = self.process.stdout.readline()
            assert line, f"it has ended: {self.process.stderr.read() if self.process.stderr else ''}"
            one = json.loads(line)
            self.told.append(one)
            if one["what"] == what and test(one):
                return one
        raise AssertionError(f"never told: {what}")

    def stop(self, number: int = signal.SIGTERM) -> list[dict[str, Any]]:
        """Stop it in order, and return what it told at the end."""
        self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, stderr
        assert "Traceback" not in stderr
        return [json.loads(line) for line in stdout.splitlines()]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


def starts(cli: Cli, flow: str) -> list[str]:
    """The keys of all runs of a flow."""
    listed = cli.json("runs", "list", "--flow", flow, "--json", "-n", "1000")["runs"]
    return [row["key"] for row in listed]


def test_up_fires_triggers_and_ends_in_order(cli: Cli) -> None:
    cli.flow(TICK, "tick.yaml")
    up = Up(cli)
    ready = up.until("ready")
    fired = up.until("fired")
    up.until("ended", lambda one: one["run"] == fired["run"])

    rest = up.stop()

    assert "1 flow, 1 trigger" in ready["message"]
    assert fired["trigger"] == "tick/often"
    assert [one["what"] for one in rest if one["what"] != "ended"][-2:] == ["stopping", "stopped"]
    assert rest[-1]["what"] == "stopped"
    shown = cli.json("runs", "show", fired["run"], "--json")
    assert shown["trigger"]["name"] == "often"
    assert "trigger  often (schedule) for 2" in cli("runs", "show", fired["run"]).stdout


def test_a_broken_file_is_left_out_and_a_broken_edit_keeps_the_last_good_version(cli: Cli) -> None:
    cli.flow(TICK, "tick.yaml")
    cli.flow("flow: wrong\ntaks: 1\n", "wrong.yaml")
    cli.flow("just: data\n", "data.yaml")
    up = Up(cli)
    broken = up.until("broken")
    up.until("ready")

    cli.flow("flow: tick\ntriggers: [{every: 0s}]\n", "tick.yaml")
    edit = up.until("broken")
    up.until("fired")
    cli.flow(TICK.replace("often", "renamed"), "tick.yaml")
    up.until("reloaded")
    up.until("fired", lambda one: one["trigger"] == "tick/renamed")
    cli.flow(LATER, "later.yaml")
    up.until("loaded", lambda one: one["flow"] == "later")
    (cli.folder / "tick.yaml").unlink()
    up.until("removed", lambda one: one["flow"] == "tick")
    up.stop()

    assert broken["message"] == "wrong.yaml is left out"
    assert "FB201" in broken["error"]
    assert edit["message"] == "tick.yaml keeps its last good version"


def test_what_was_killed_goes_on_and_each_moment_has_one_run(cli: Cli) -> None:
    cli.flow(TICK.replace("name: often", "name: often\n        catch_up: all"), "tick.yaml")
    for _ in range(3):
        up = Up(cli)
        up.until("fired")
        up.until("fired")
        up.kill()
    up = Up(cli)
    up.until("fired")
    up.until("fired")
    up.stop(signal.SIGINT)

    keys = starts(cli, "tick")
    seconds = sorted(_seconds(key.removeprefix("often@")) for key in keys)
    assert len(set(keys)) == len(keys)
    assert all(abs(b - a - 0.2) < 0.01 for a, b in itertools.pairwise(seconds)), keys


def _seconds(moment: str) -> float:
    import datetime as dt

    return dt.datetime.fromisoformat(moment).timestamp()


def test_a_second_signal_does_not_wait_for_what_runs(cli: Cli) -> None:
    cli.fifo("began")
    cli.flow(
        """
        flow: slow
        triggers: [{every: 200ms, overlap: skip}]
        tasks:
          a: {run: "trap '' TERM; echo started > began; sleep 100 & wait; sleep 100"}
        """,
        "slow.yaml",
    )
    up = Up(cli)
    assert (cli.folder / "began").read_text() == "started\n"
    began = time.monotonic()

    up.process.send_signal(signal.SIGTERM)
    up.until("stopping")
    up.process.send_signal(signal.SIGTERM)
    up.process.communicate(timeout=PATIENCE)

    assert time.monotonic() - began < 9
    assert {row["status"] for row in cli.json("runs", "list", "--json")["runs"]} == {"running"}


def test_triggers_are_paused_resumed_and_fired_by_hand_while_an_engine_is_up(cli: Cli) -> None:
    cli.flow(LATER, "later.yaml")
    up = Up(cli)
    up.until("ready")

    assert cli("schedules", "pause", "later", "--as", "anna", "--reason", "holiday").returncode == 0
    paused = up.until("paused")
    (listed,) = cli.json("schedules", "list", "--json")["schedules"]
    run = cli.json("schedules", "trigger", "daily", "--as", "anna", "--json")["run_id"]
    fired = up.until("fired")
    assert cli("schedules", "resume", "later/daily").returncode == 0
    up.until("resumed")
    up.stop()

    assert paused["message"] == "by anna"
    assert (listed["status"], listed["paused"]["by"], listed["paused"]["reason"]) == (
        "paused",
        "anna",
        "holiday",
    )
    assert listed["next"] is None
    assert fired["run"] == run
    assert cli.json("runs", "show", run, "--json")["trigger"]["by"] == "hand:anna"
    (listed,) = cli.json("schedules", "list", "--json")["schedules"]
    assert (listed["status"], listed["runs"], listed["last_run"]) == ("on", 1, run)


def test_without_an_engine_a_trigger_is_fired_here_and_pauses_are_kept(cli: Cli) -> None:
    cli.flow(LATER, "later.yaml")

    assert cli("schedules", "pause", "later").returncode == 0
    done = cli.json("schedules", "trigger", "later", "--json", "--quiet")

    assert done["status"] == "succeeded"
    assert cli.json("schedules", "list", "--json")["schedules"][0]["status"] == "paused"
    missing = cli("schedules", "next", "latr")
    assert missing.returncode == 5
    assert "did you mean 'later" in missing.stderr


def test_once_starts_what_is_due_and_leaves(cli: Cli) -> None:
    cli.flow(TICK.replace("200ms", "1h"), "tick.yaml")
    inbox = cli.folder / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("1")
    cli.flow("flow: load\ntriggers: [{file: 'inbox/*.csv'}]\ntasks: {a: {type: set, with: 1}}\n", "load.yaml")

    for _ in range(2):
        done = cli("up", ".", "--once", "--json")
        assert done.returncode == 0, done.stderr

    assert len(starts(cli, "load")) == 1
    assert starts(cli, "tick") == []


def test_once_leaves_moments_that_come_while_it_waits_to_the_next(cli: Cli) -> None:
    cli.flow(TICK.replace('type: set, with: "${{ trigger.scheduled_at }}"', "run: sleep 1"), "tick.yaml")
    cli("up", ".", "--once")

    done = cli("up", ".", "--once", "--json")

    told = [json.loads(line)["what"] for line in done.stdout.splitlines()]
    assert (told.count("fired"), told.count("ended"), told[-1]) == (1, 1, "stopped")


def test_what_ends_while_up_stops_is_told_and_an_end_before_what_it_starts(cli: Cli) -> None:
    cli.flow("flow: first\ntriggers: [{every: 1h}]\ntasks: {a: {type: set, with: 1}}\n", "first.yaml")
    cli.flow("flow: then\ntriggers: [{flow: first}]\ntasks: {a: {run: touch began; sleep 1}}\n", "then.yaml")
    up = Up(cli)
    up.until("ready")
    cli("schedules", "trigger", "first", "--quiet")
    up.until("fired", lambda one: one["flow"] == "then")
    rest = up.stop()

    assert [(one["what"], one["flow"]) for one in up.told if one["what"] in ("fired", "ended")] == [
        ("fired", "first"),
        ("ended", "first"),
        ("fired", "then"),
    ]
    assert [one["what"] for one in rest] == ["stopping", "ended", "stopped"]
    for fired, ended in ((up.told[-3], up.told[-2]), (up.told[-1], rest[1])):
        assert fired["at"] <= ended["at"]


def test_a_trigger_that_makes_inputs_of_a_file_is_not_fired_by_hand(cli: Cli) -> None:
    cli.flow(
        "flow: load\ninputs: {path: {type: string}}\n"
        "triggers: [{file: 'inbox/*.csv', with: {path: '${{ trigger.file.path }}'}}]\n"
        "tasks: {a: {type: set, with: 1}}\n",
        "load.yaml",
    )

    done = cli("schedules", "trigger", "load")

    assert done.returncode == 2
    assert "makes inputs of the file that it waits for" in done.stderr
    assert f"flowbuilder run {cli.folder / 'load.yaml'}" in done.stderr
    assert cli("runs", "list").returncode == 5, "there is no store, and no failed run in it"


def test_a_file_that_arrives_while_up_runs_starts_its_flow(cli: Cli) -> None:
    cli.flow(
        "flow: load\ntriggers: [{file: 'inbox/*.csv', stable: 100ms}]\n"
        "tasks: {a: {type: set, with: '${{ trigger.file.name }}'}}\n",
        "load.yaml",
    )
    (cli.folder / "inbox").mkdir()
    up = Up(cli)
    up.until("ready")

    (cli.folder / "inbox" / "new.csv").write_text("1")
    fired = up.until("fired")
    up.until("ended")
    up.stop()

    assert cli.json("runs", "show", fired["run"], "--json")["tasks"]["a"]["output"] == "new.csv"


@pytest.mark.parametrize("words", [["nowhere"], ["--nothing"]])
def test_what_up_is_given_wrongly_is_said(cli: Cli, words: list[str]) -> None:
    done = cli("up", *words)

    assert done.returncode in (2, 5)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_backfill_runs_each_moment_of_the_range_once(cli: Cli) -> None:
    cli.flow(LATER, "later.yaml")
    span = ("--from", "2026-03-27", "--to", "2026-03-31")

    planned = cli("backfill", "later", *span, "--dry-run").stdout.split()
    first = cli.json("backfill", "later.yaml", *span, "--json", "--quiet")
    second = cli.json(
        "backfill", "later", "--trigger", "daily", "--from", "2026-03-30", "--to", "2026-04-02", "--json"
    )
    again = cli.json("backfill", "later/daily", *span, "--again", "--reverse", "--concurrency", "2", "--json")

    assert planned == [f"2026-03-{day}T06:00:00+0{1 if day < 29 else 2}:00" for day in range(27, 32)]
    assert (first["started"], first["there"], first["failed"]) == (5, 0, 0)
    assert (second["started"], second["there"]) == (2, 2)
    assert again["started"] == 5
    assert len(starts(cli, "later")) == 12


def test_a_dry_run_shows_which_moments_have_a_run(cli: Cli) -> None:
    cli.flow(
        LATER.replace("    tasks:", "        if: trigger.scheduled_at.day != 28\n    tasks:").replace(
            "trigger.scheduled_at.day", "(trigger.scheduled_at | day)"
        ),
        "later.yaml",
    )
    cli("backfill", "later", "--from", "2026-03-27", "--to", "2026-03-27", "--quiet")

    span = ("backfill", "later", "--from", "2026-03-27", "--to", "2026-03-29", "--dry-run")
    shown, told = cli.json(*span, "--json"), cli(*span)
    again = cli.json(*span, "--json", "--again")

    run = cli.json("runs", "list", "--json")["runs"][0]["run_id"]
    assert [(one["starts"], one["run_id"], one["status"]) for one in shown["moments"]] == [
        (False, run, "succeeded"),
        (False, None, None),
        (True, None, None),
    ]
    assert [one["starts"] for one in again["moments"]] == [True, False, True]
    assert told.stdout.splitlines()[0] == f"2026-03-27T06:00:00+01:00  ✓ succeeded  {run}"
    assert "1 would be started, 1 have a run already, 1 left out" in told.stderr
    assert len(starts(cli, "later")) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("later", "--from", "2200-01-01"), "--from lies in the future"),
        (("later/dayly", "--from", "2026-01-01"), "did you mean 'daily'"),
        (("plain.yaml", "--from", "2026-01-01"), "the flow 'plain.yaml' has no trigger of moments"),
    ],
)
def test_what_a_backfill_is_given_wrongly_is_said(cli: Cli, words: tuple[str, ...], says: str) -> None:
    cli.flow(LATER, "later.yaml")
    cli.flow("flow: plain\ntasks: {a: {type: set, with: 1}}\n", "plain.yaml")

    done = cli("backfill", *words)

    assert done.returncode in (2, 5)
    assert says in done.stderr


def test_a_dry_run_needs_no_store_and_makes_none(cli: Cli) -> None:
    cli.flow(LATER, "later.yaml")

    cli("backfill", "later", "--from", "2026-03-27", "--to", "2026-03-29", "--dry-run")

    assert cli("runs", "list").returncode == 5


def test_a_backfill_that_is_interrupted_goes_on_with_the_same_command(cli: Cli) -> None:
    cli.fifo("began")
    cli.flow(
        LATER.replace(
            'a: {type: set, with: "${{ inputs.day }}"}',
            'a: {run: "echo $DAY >> days; echo started > began; cat go", env: {DAY: "${{ inputs.day }}"}}',
        ).replace("outputs: {day", "x-outputs: {day"),
        "later.yaml",
    )
    cli.fifo("go")
    words = (
        "backfill",
        "later",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-03",
        "--concurrency",
        "1",
        "--json",
    )
    process = cli.start(*words)
    assert (cli.folder / "began").read_text() == "started\n"
    process.send_signal(signal.SIGINT)
    stderr = process.stderr
    assert stderr is not None
    while "stopping" not in stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    os.unlink(cli.folder / "began")
    os.unlink(cli.folder / "go")
    (cli.folder / "go").write_text("")

    done = cli.json(*words)

    assert process.returncode == 130
    assert (done["failed"], done["left"]) == (0, 0)
    assert [row["status"] for row in done["runs"]] == ["succeeded"] * 3
    assert len(starts(cli, "later")) == 3


def test_what_is_done_to_schedules_is_one_object_with_json(cli: Cli) -> None:
    cli.flow(LATER, "later.yaml")

    paused = [cli.json("schedules", "pause", "later", "--json") for _ in range(2)]
    resumed = [cli.json("schedules", "resume", "later", "--json") for _ in range(2)]

    assert paused == [{"paused": ["later/daily"], "already": []}, {"paused": [], "already": ["later/daily"]}]
    assert resumed[0]["resumed"][0]["name"] == "later/daily"
    assert resumed[0]["resumed"][0]["next"].endswith(("+01:00", "+02:00"))
    assert resumed[1] == {"resumed": [], "already": ["later/daily"]}


PYTHON = """
    from flowbuilder import flow, lang, task

    @task(effect="pure")
    def word(name: str) -> str:
        return "one " + name

    @flow(triggers=[{"name": "often", "every": "200ms", "with": {"name": lang.trigger.name}}])
    def spoken(name: str):
        return word(name)
"""


def test_flows_in_python_files_are_up_and_read_again_and_a_broken_edit_keeps_them(cli: Cli) -> None:
    cli.flow(PYTHON, "flows.py")
    cli.flow("raise SystemExit('nobody imports this')", "tool.py")
    up = Up(cli)
    loaded = up.until("loaded")
    first = up.until("ended")

    cli.flow(PYTHON.replace("-> str:", "-> str"), "flows.py")
    broken = up.until("broken")
    still = up.until("ended")
    cli.flow(PYTHON.replace('"one "', '"two "'), "flows.py")
    up.until("reloaded")
    second = up.until("ended", lambda one: one["outputs"]["result"].startswith("two"))
    listed = cli.json("schedules", "list", "--json")["schedules"]
    up.stop()

    assert (loaded["flow"], loaded["message"]) == ("spoken", "flows.py:spoken")
    assert first["outputs"] == still["outputs"] == {"result": "one often"}
    assert broken["message"] == "flows.py keeps its last good version"
    assert "flows.py:5:" in broken["error"]
    assert second["outputs"] == {"result": "two often"}
    assert [one["name"] for one in listed] == ["spoken/often"]


def test_a_plug_in_is_read_again_while_up_runs(cli: Cli) -> None:
    plugin = """
        from flowbuilder.core.catalogue import TaskSpec

        class Say:
            spec = TaskSpec(name="say", summary="Says.", params={"type": "object"}, output={}, effect="pure")

            async def run(self, call):
                return "one"
    """
    (cli.folder / "plugins").mkdir()
    cli.flow(plugin, "plugins/say.py")
    cli.flow(
        "flow: f\ntriggers: [{every: 200ms}]\ntasks: {a: {type: say}}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    )
    up = Up(cli)
    up.until("ended", lambda one: one["outputs"] == {"a": "one"})

    cli.flow("raise SystemExit(3)", "plugins/say.py")
    broken = up.until("broken")
    up.until("ended", lambda one: one["outputs"] == {"a": "one"})
    cli.flow(plugin.replace("one", "two"), "plugins/say.py")
    up.until("plugin")
    up.until("ended", lambda one: one["outputs"] == {"a": "two"})
    up.stop()

    assert broken["message"] == "plugins/say.py keeps its last good version"
    assert "say.py:1: SystemExit: 3" in broken["error"]
