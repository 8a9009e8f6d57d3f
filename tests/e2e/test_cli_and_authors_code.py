"""What an author's own code does: what it prints is no data, and a script of his is run once."""

import json
import subprocess
import sys

from command_line import PATIENCE, Cli

PRINTS = """
    flow: prints
    inputs:
      n: {type: integer}
    tasks:
      here:
        type: python
        with: {call: "prints:shout", args: {n: "${{ inputs.n }}"}}
      there:
        type: python
        timeout: 30s
        with: {call: "prints:shout", args: {n: "${{ tasks.here.output }}"}}
      later:
        for_each: [1, 2]
        run: echo "line ${{ item }}"
        needs: [there]
    outputs:
      n: ${{ tasks.there.output }}
"""
CODE = """
def shout(n):
    print("what nobody asked for", n)
    return n + 1
"""


def test_what_functions_print_is_no_data(cli: Cli) -> None:
    (cli.folder / "prints.py").write_text(CODE)
    done = cli("run", cli.flow(PRINTS), "-i", "n=1", "--json", "--quiet")

    assert json.loads(done.stdout)["outputs"] == {"n": 3}
    assert done.stderr.count("what nobody asked for") == 2


def test_a_script_without_a_guard_is_run_once(cli: Cli) -> None:
    (cli.folder / "prints.py").write_text(CODE)
    flow = cli.flow(PRINTS)
    script = cli.folder / "script.py"
    script.write_text(
        f"print('the script begins')\nimport flowbuilder\nprint(flowbuilder.run({flow!r}, n=4))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=cli.folder,
        env=cli.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the script begins") == 1
    assert "{'n': 6}" in done.stdout


def test_the_logs_of_a_task_are_those_of_all_its_elements(cli: Cli) -> None:
    (cli.folder / "prints.py").write_text(CODE)
    run_id = cli.json("run", cli.flow(PRINTS), "-i", "n=1", "--json")["run_id"]

    lines = cli("runs", "logs", run_id, "later").stdout.splitlines()

    assert sorted(line.split(maxsplit=1)[1] for line in lines) == ["later[0]  line 1", "later[1]  line 2"]


def test_a_projects_own_folder_stays_out_of_its_repository(cli: Cli) -> None:
    (cli.folder / "prints.py").write_text(CODE)
    for path in (cli.folder / ".flowbuilder").glob("*"):
        path.unlink()
    (cli.folder / ".flowbuilder").rmdir()
    (cli.folder / "flowbuilder.toml").touch()
    cli.json("run", cli.flow(PRINTS), "-i", "n=1", "--json")

    assert (cli.folder / ".flowbuilder" / ".gitignore").read_text() == "*\n"


def test_a_run_that_has_ended_is_not_said_to_wait(cli: Cli) -> None:
    run_id = cli.json("run", cli.flow("flow: t\ntasks: {a: {type: set, with: 1}}"), "--json")["run_id"]
    done = cli("runs", "resume", run_id)

    assert done.returncode == 1
    assert f"run {run_id} has ended already: succeeded" in done.stderr


def test_many_who_start_by_one_key_are_not_told_of_losses(cli: Cli) -> None:
    flow = cli.flow("flow: t\ntasks: {a: {run: echo once}}")
    started = [cli.start("run", flow, "--key", "k", "--json") for _ in range(6)]
    told = [process.communicate(timeout=PATIENCE) for process in started]

    assert len({json.loads(out)["run_id"] for out, _ in told}) == 1
    assert not any("dropped" in err for _, err in told)
