"""`flowbuilder run`, as scripts and people use it."""

import json
import re
import subprocess

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

    assert list(found) == ["run_id", "flow", "status", "outputs", "error", "tasks"]
    assert (found["flow"], found["status"], found["error"]) == ("greeting", "succeeded", None)
    assert found["outputs"] == {"said": "Hello, world"}
    task = found["tasks"]["greet"]
    assert list(task) == ["status", "reason", "output", "error", "attempts", "started_at", "duration"]
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
    assert "what it needs failed" in done.stderr
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
        (["run", "binary.yaml"], 3, "binary.yaml:2:6: FB101 this is no text in UTF-8: byte 0xff"),
        (["validate", "utf16.yaml"], 3, "1 error"),
        (["run", "flow.yaml", "--store", "."], 1, "it is a folder"),
        (["run", "flow.yaml", "--store", "broken.yaml"], 1, "is damaged"),
        (["runs", "show", "01zzz"], 5, "there is no store"),
        (["runs", "watch"], 5, "there is no store"),
    ],
)
def test_a_command_that_fails_itself_prints_nothing_as_data(
    cli: Cli, words: list[str], code: int, message: str
) -> None:
    cli.flow(GREETING)
    cli.flow("flow: broken\ntasks:\n  a: {type: set, wiht: 1}\n", "broken.yaml")

    (cli.folder / "binary.yaml").write_bytes(b"flow: a\nabc: \xff")
    (cli.folder / "utf16.yaml").write_bytes("flow: a".encode("utf-16"))

    done = cli(*words)

    assert done.returncode == code, done.stderr
    assert done.stdout == "" or words[0] == "validate"  # whose data are the findings
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
    third = cli("run", flow, "--key", "today")

    assert first["run_id"] == second["run_id"]
    assert (cli.folder / "effects.txt").read_text() == "once\n"
    assert other.returncode == 2
    assert first["run_id"] in other.stderr
    assert "key 'today' has a run already" in third.stderr
    assert "has a run already" not in cli("run", flow, "--key", "tomorrow").stderr


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


def test_what_to_type_next_can_be_typed(cli: Cli) -> None:
    cli.flow(GREETING)
    away = Cli(cli.folder / "away")
    away.folder.mkdir()

    done = away("run", "../flow.yaml", "--store", "runs.db")
    typed = next(line for line in done.stderr.splitlines() if "runs show" in line).split("  ")[1]
    shown = away(*typed.split()[1:])

    assert typed.endswith("--store runs.db")
    assert shown.returncode == 0, shown.stderr
    assert "Hello, world" in shown.stdout


def test_closed_streams_and_a_full_disk_behind_them_end_in_order(cli: Cli) -> None:
    command = " ".join([*cli.command("run", cli.flow(GREETING))])

    def shell(redirection: str) -> subprocess.CompletedProcess[str]:
        line = ["bash", "-c", f"{command} {redirection}"]
        return subprocess.run(
            line, cwd=cli.folder, env=cli.environ, capture_output=True, text=True, timeout=60, check=False
        )

    for redirection in (">&-", "2>&-", "<&-", "2>/dev/full", "2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}"):
        done = shell(redirection)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (redirection, done.stderr)
    full = shell(">/dev/full")
    assert full.returncode == 1
    assert "error: standard output: No space left on device" in full.stderr


def test_data_is_utf_8_in_every_locale(cli: Cli) -> None:
    done = cli("run", cli.flow(GREETING), "-i", "name=Zoë 東京", PYTHONIOENCODING="ascii")

    assert json.loads(done.stdout) == {"said": "Hello, Zoë 東京"}
