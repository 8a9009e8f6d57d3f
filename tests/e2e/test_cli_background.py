"""Runs that are left to a background engine."""

import json
import os

from command_line import Cli

FLOW = """
    flow: background
    tasks:
      wait: {run: "cat gate > /dev/null"}
      done: {needs: [wait], type: set, with: 42}
    outputs: {answer: "${{ tasks.done.output }}"}
"""


def open_gate(cli: Cli) -> None:
    """Let the flow go on: this returns when its task has opened the pipe to read."""
    (cli.folder / "gate").write_text("open\n")


def test_a_detached_run_goes_on_without_the_command(cli: Cli) -> None:
    cli.fifo("gate")

    started = cli("run", cli.flow(FLOW), "--detach")
    run = started.stdout.strip()
    live = cli.json("runs", "show", run, "--json")
    open_gate(cli)
    watched = cli.json("runs", "watch", run, "--json")

    assert started.returncode == 0, started.stderr
    assert live["status"] == "running"
    assert [task["status"] for task in live["tasks"].values()] == ["running", "pending"]
    assert watched["outputs"] == {"answer": 42}


def test_the_background_engine_leaves_when_it_has_nothing_left(cli: Cli) -> None:
    cli.fifo("gate")
    run = cli("run", cli.flow(FLOW), "--detach").stdout.strip()
    pids = cli.engine_pids()

    open_gate(cli)
    cli("runs", "watch", run)

    assert len(pids) == 1
    wait_for_exit(pids[0])


def test_waiting_too_long_exits_with_8_and_the_run_goes_on(cli: Cli) -> None:
    cli.fifo("gate")

    done = cli("run", cli.flow(FLOW), "--timeout", "100ms", "--json")
    open_gate(cli)
    watched = cli("runs", "watch", json.loads(done.stdout)["run_id"])

    assert done.returncode == 8, done.stderr
    assert json.loads(done.stdout)["status"] == "running"
    assert watched.returncode == 0, watched.stderr


def test_what_keeps_a_detached_run_from_starting_is_reported_here(cli: Cli) -> None:
    flow = cli.flow(
        """
        flow: needy
        inputs: {n: {type: integer, minimum: 5}}
        tasks: {a: {type: set, with: 1}}
        """
    )

    missing = cli("run", flow, "--detach")
    small = cli("run", flow, "--detach", "-i", "n=1")

    assert (missing.returncode, small.returncode) == (2, 2)
    assert "$.n" in small.stderr
    assert missing.stdout == small.stdout == ""


SLEEPING = """
    flow: sleeping
    tasks: {nap: {type: sleep, with: {for: 1h}}}
"""


def test_a_run_that_sleeps_beside_a_living_engine_waits_for_nobody_else(cli: Cli) -> None:
    run = cli("run", cli.flow(SLEEPING), "--detach").stdout.strip()
    pids = cli.engine_pids()

    other = cli("run", cli.flow("flow: other\ntasks:\n  a: {type: set, with: 1}\n", "other.yaml"))
    cancelled = cli("runs", "cancel", run)
    watched = cli("runs", "watch", run)

    assert other.returncode == 0
    assert run not in other.stderr
    assert run in cancelled.stderr
    assert watched.returncode == 9
    wait_for_exit(pids[0])


def test_a_detached_start_prints_the_same_object_as_any_other(cli: Cli) -> None:
    found = cli.json("run", cli.flow(SLEEPING), "--detach", "--json")
    cli("runs", "cancel", found["run_id"])

    assert list(found) == ["run_id", "flow", "status", "outputs", "error", "tasks"]
    assert found["status"] in ("queued", "running", "waiting")
    assert cli("runs", "watch", found["run_id"]).returncode == 9


def wait_for_exit(pid: int) -> None:
    """Return when a process that is none of our children has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    try:
        assert select.select([handle], [], [], 30)[0], "the background engine is still there"
    finally:
        os.close(handle)
