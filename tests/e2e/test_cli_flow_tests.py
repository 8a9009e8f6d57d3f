"""`flowbuilder test`: from the command line, as people and build servers call it."""

import json
import time
from pathlib import Path

import pytest
from command_line import Cli

FLOW = """
    flow: greet
    inputs: {name: {type: string, default: "010"}}
    tasks:
      ask: {run: 'echo "  $NAME #1"; [ "$NAME" != fail ]', env: {NAME: "${{ inputs.name }}"}, retry: {attempts: 2, delay: 10ms}}
      each:
        for_each: [1, 2]
        run: echo $N
        env: {N: "${{ item }}"}
      say: {type: set, with: "hello, ${{ tasks.ask.output.stdout }}"}
    outputs: {said: "${{ tasks.say.output }}", ns: "${{ [int(e.stdout) for e in tasks.each.output] }}"}
"""
TESTS = """
    defaults: {mocks: {"type:shell": {output: {stdout: "1", stderr: "", exit_code: 0}}}}
    tests:
      it greets: {expect: {outputs: {said: "hello, 1"}}}
      it is wrong: {expect: {outputs: {said: nothing}}}
"""


@pytest.fixture
def greets(cli: Cli) -> Cli:
    cli.flow(FLOW)
    cli.flow(TESTS, "flow.test.yaml")
    return cli


def test_what_fails_is_told_with_its_place_and_the_exit_code_is_1(greets: Cli) -> None:
    done = greets("test")

    assert done.returncode == 1
    assert "ok       flow.test.yaml: it greets" in done.stdout
    assert "FAILED   flow.test.yaml: it is wrong" in done.stdout
    assert "at flow.test.yaml:5:3" in done.stdout
    assert 'outputs.said: expected "nothing", got "hello, 1"' in done.stdout
    assert "1 failed, 1 passed" in done.stderr


def test_one_test_is_chosen_by_its_name(greets: Cli) -> None:
    done = greets("test", "-k", "GREETS")

    assert done.returncode == 0
    assert "1 passed" in done.stderr
    assert greets("test", "-k", "nothing").returncode == 5


def test_results_are_printed_for_other_programs(greets: Cli, tmp_path: Path) -> None:
    found = greets.json("test", "--json", "--junit", "out.xml", code=1)
    tap = greets("test", "--tap").stdout

    assert (found["passed"], found["failed"]) == (1, 1)
    assert '<testsuites tests="2" failures="1"' in (greets.folder / "out.xml").read_text()
    assert tap.startswith("TAP version 14\n1..2\nok 1 - ")


def test_too_little_coverage_fails(greets: Cli) -> None:
    greets.flow("tests: {one: {}}", "other.test.yaml")
    text = (
        "flow: o\ntasks:\n  a: {type: set, with: 1}\n  never: {if: tasks.a.output > 1, type: set, with: 2}\n"
    )
    (greets.folder / "other.yaml").write_text(text)

    done = greets("test", "other.yaml", "--coverage", "--fail-under", "90")

    assert done.returncode == 1
    assert "never" in done.stdout
    assert "50.0 % of tasks and branches are reached" in done.stderr
    assert greets("test", "other.yaml", "--fail-under", "50").returncode == 0


def test_a_file_of_tests_that_is_wrong_is_shown_as_flows_are(greets: Cli) -> None:
    greets.flow("tests:\n      one: {expct: succeeded}\n", "bad.test.yaml")

    done = greets("test")

    assert done.returncode == 3
    assert "did you mean 'expect'?" in done.stderr


def test_no_tests_are_no_success(cli: Cli) -> None:
    done = cli("test")

    assert done.returncode == 5
    assert "*.test.yaml" in done.stderr


@pytest.mark.parametrize(("name", "status"), [("Ada", "succeeded"), ("fail", "failed")])
def test_a_run_is_recorded_as_a_test_that_passes(cli: Cli, name: str, status: str) -> None:
    flow = cli.flow(FLOW)
    run = json.loads(cli("run", flow, "--json", "-i", f"name={name}").stdout)
    assert run["status"] == status

    recorded = cli("test", "--record", run["run_id"])
    text = (cli.folder / "flow.test.yaml").read_text()
    done = cli("test")

    assert recorded.returncode == 0, recorded.stderr
    assert done.returncode == 0, done.stdout + text
    assert "each[0]" in text
    again = cli("test", "--record", run["run_id"])
    assert again.returncode == 1
    assert "--output" in again.stderr


def until(cli: Cli, run: str, task: str, status: str) -> None:
    patience = time.monotonic() + 30
    while cli.json("runs", "show", run, task, "--json")["status"] != status:
        assert time.monotonic() < patience


BUSY = """
    flow: busy
    secrets: [TOKEN]
    tasks:
      flaky:
        run: 'echo "$TOKEN" >> tries; [ "$(wc -l < tries)" = 3 ] || { echo "no $TOKEN" >&2; exit 4; }; echo "got $TOKEN"'
        env: {TOKEN: "${{ secrets.TOKEN }}"}
        retry: {attempts: 5, delay: 1ms, on: [shell.exit]}
      poll:
        type: script
        with: {language: bash, code: 'echo x >> polls; wc -l < polls'}
        repeat: {until: "output.stdout.strip() == '3'", max: 9}
      each:
        for_each: [1, 2, 3]
        run: '[ "$N" != 2 ]'
        env: {N: "${{ item }}"}
        on_error: continue
      inner:
        type: group
        retry: 2
        tasks: {one: {run: 'echo x >> groups; [ "$(wc -l < groups)" = 2 ]'}, two: {needs: [one], run: echo two}}
      go: {type: wait, with: {signal: go, timeout: 1h}}
      asked: {needs: [go], type: approval, with: {message: Well?, timeout: 1h}}
      child: {type: flow, with: {path: child.yaml}}
      late: {needs: [asked], if: "tasks.asked.output.form == {}", run: exit 3, on_error: {value: rescued}}
    finally: {clean: {run: echo clean}}
    outputs: {polls: "${{ tasks.poll.output.stdout.strip() }}", late: "${{ tasks.late.output }}", child: "${{ tasks.child.output.x }}"}
"""


def test_a_run_with_all_that_may_happen_is_recorded_without_its_secrets(cli: Cli) -> None:
    cli.flow(
        'flow: child\ntasks: {a: {run: echo child}}\noutputs: {x: "${{ tasks.a.output.stdout.strip() }}"}',
        "child.yaml",
    )
    flow = cli.flow(BUSY)
    cli.environ["FLOWBUILDER_SECRET_TOKEN"] = "very-secret-text"
    run = cli("run", flow, "--detach", "-q").stdout.strip()
    until(cli, run, "go", "waiting")
    assert cli("signal", run, "go", "n=1").returncode == 0
    until(cli, run, "asked", "waiting")
    assert cli("approvals", "approve", run).returncode == 0
    assert json.loads(cli("runs", "watch", run, "--json").stdout)["status"] == "succeeded"

    assert cli("test", "--record", run).returncode == 0
    text = (cli.folder / "flow.test.yaml").read_text()
    for left in ("tries", "polls", "groups"):
        (cli.folder / left).unlink()
    done = cli("test")

    assert done.returncode == 0, done.stdout + text
    assert "very-secret-text" not in text
    assert not (cli.folder / "tries").exists()
    assert text.count("kind: shell.exit") == 2 + 1 + 1 + 1
    assert text.count("language: bash") == 0


def test_a_run_that_was_cancelled_is_recorded_as_a_test_that_passes(cli: Cli) -> None:
    flow = cli.flow(
        "flow: slow\ntasks: {before: {run: echo x}, slow: {needs: [before], run: sleep 60}, after: {needs: [slow], run: echo y}}"
    )
    run = cli("run", flow, "--detach", "-q").stdout.strip()
    until(cli, run, "slow", "running")
    assert cli("runs", "cancel", run, "--reason", "enough").returncode == 0
    cli("runs", "watch", run)

    assert cli("test", "--record", run).returncode == 0
    done = cli("test")

    assert done.returncode == 0, done.stdout + (cli.folder / "flow.test.yaml").read_text()
