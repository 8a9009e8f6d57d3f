"""`flowbuilder run`, as scripts and people use it."""

import json
import re

import pytest
from command_line import Cli

GREETING = """
    flow: greeting
    inputs:
      name: {type: string, minLength: 1, default: world}
      times: {type: integer, minimum: 1, default: 1}
    tasks:
      greet:
        for_each: ${{ range(inputs.times) }}
        run: echo "Hello, ${{ inputs.name }}"
      first:
        type: set
        with: ${{ tasks.greet.output[0].stdout.strip() }}
    outputs:
      said: ${{ tasks.first.output }}
"""
FAILING = """
    flow: failing
    tasks:
      bad:
        run: echo "no such luck" >&2; exit 3
      after:
        needs: [bad]
        type: set
        with: 1
"""


def test_outputs_go_to_standard_output_and_all_else_beside_it(cli: Cli) -> None:
    done = cli("run", cli.flow(GREETING), "-i", "name=Ada")

    assert done.returncode == 0
    assert json.loads(done.stdout) == {"said": "Hello, Ada"}
    assert "greeting succeeded" in done.stderr
    assert re.search(r"flowbuilder runs show [0-9a-z]{26}", done.stderr)
    assert "\x1b" not in done.stderr + done.stdout


def test_the_json_object_has_all_its_members(cli: Cli) -> None:
    found = cli.json("run", cli.flow(GREETING), "--json", "-i", "times=2")

    assert {"run_id", "flow", "status", "outputs", "error", "tasks"} <= set(found)
    assert (found["flow"], found["status"], found["error"]) == ("greeting", "succeeded", None)
    assert found["outputs"] == {"said": "Hello, world"}
    task = found["tasks"]["greet"]
    assert {"status", "reason", "output", "error", "attempts", "started_at", "duration"} <= set(task)
    assert [one["stdout"] for one in task["output"]] == ["Hello, world\n"] * 2
    assert found["tasks"]["first"]["output"] == "Hello, world"


def test_quiet_says_nothing_but_errors(cli: Cli) -> None:
    assert cli("run", cli.flow(GREETING), "--quiet").stderr == ""
    assert cli("run", cli.flow(FAILING), "--quiet").stderr == "bad: shell.exit: exit code 3: no such luck\n"


def test_a_failed_run_exits_with_1_and_says_where(cli: Cli) -> None:
    done = cli("run", cli.flow(FAILING))

    assert done.returncode == 1
    assert done.stdout == ""
    assert "failing failed" in done.stderr
    assert "bad: shell.exit" in done.stderr
    assert "upstream failed" in done.stderr
    assert re.search(r"flowbuilder runs logs [0-9a-z]{26} bad", done.stderr)


def test_a_failed_run_has_its_error_as_json(cli: Cli) -> None:
    found = cli.json("run", cli.flow(FAILING), "--json", code=1)

    assert found["status"] == "failed"
    assert found["outputs"] is None
    assert (found["error"]["kind"], found["error"]["task"]) == ("shell.exit", "bad")
    assert found["tasks"]["after"]["reason"] == "upstream_failed"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run"], 2, "required: FILE"),
        (["run", "flow.yaml", "--jsn"], 2, "did you mean '--json'?"),
        (["run", "flow.yaml", "-i", "nme=Ada"], 2, "did you mean 'name'?"),
        (["run", "flow.yaml", "-i", "times=few"], 2, "$.times: 'few' is no integer"),
        (["run", "flow.yaml", "-i", "times=0", "-i", "name="], 2, "$.name"),
        (["run", "flow.yaml", "--priority", "101"], 2, "--priority goes from 0 to 100"),
        (["run", "flow.yaml", "--timeout", "5"], 2, "'5' has no unit"),
        (["run", "flow.yml"], 5, "did you mean 'flow.yaml'?"),
        (["run", "."], 5, "it is a folder"),
        (["run", "broken.yaml"], 3, "broken.yaml:3:"),
        (["rnu", "flow.yaml"], 2, "did you mean 'run'?"),
        (["runs", "show", "01zzz"], 5, ""),
    ],
)
def test_a_command_that_fails_itself_prints_nothing_as_data(
    cli: Cli, words: list[str], code: int, message: str
) -> None:
    cli.flow(GREETING)
    cli.flow("flow: broken\ntasks:\n  a: {type: set, wiht: 1}\n", "broken.yaml")

    done = cli(*words)

    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_every_violation_of_the_inputs_is_named(cli: Cli) -> None:
    done = cli("run", cli.flow(GREETING), "-i", "times=0", "-i", "name=")

    assert "$.times" in done.stderr
    assert "$.name" in done.stderr


def test_inputs_come_from_a_file_too(cli: Cli) -> None:
    (cli.folder / "inputs.json").write_text('{"name": "Grace"}')

    assert cli.json("run", cli.flow(GREETING), "--input-file", "inputs.json") == {"said": "Hello, Grace"}


def test_a_key_starts_one_run_only(cli: Cli) -> None:
    flow = cli.flow(
        """
        flow: once
        inputs: {n: {type: integer, default: 1}}
        tasks:
          effect: {run: echo once >> effects.txt}
        """
    )

    first = cli.json("run", flow, "--key", "today", "--json")
    second = cli.json("run", flow, "--key", "today", "--json")
    other = cli("run", flow, "--key", "today", "-i", "n=2")

    assert first["run_id"] == second["run_id"]
    assert (cli.folder / "effects.txt").read_text() == "once\n"
    assert other.returncode == 2
    assert first["run_id"] in other.stderr


def test_the_store_lies_where_it_was_asked_for(cli: Cli) -> None:
    flow = cli.flow(GREETING)

    cli("run", flow, "--store", "here/runs.db")
    cli("run", flow, FLOWBUILDER_HOME=str(cli.folder / "home"))
    cli("run", flow)

    assert (cli.folder / "here" / "runs.db").exists()
    assert (cli.folder / "home" / "flowbuilder.db").exists()
    assert (cli.folder / ".flowbuilder" / "flowbuilder.db").exists()


def test_values_never_become_shell_code(cli: Cli) -> None:
    name = "$(touch pwned) `touch pwned` '; touch pwned; \" && touch pwned"

    assert cli.json("run", cli.flow(GREETING), "-i", f"name={name}") == {"said": f"Hello, {name}"}
    assert not (cli.folder / "pwned").exists()
