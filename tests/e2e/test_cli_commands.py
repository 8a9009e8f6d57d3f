"""The commands that look at runs, and those that look at flows."""

import json
import re

import pytest
from command_line import Cli

FLOW = """
    flow: talk
    inputs: {fail: {type: boolean, default: false}}
    tasks:
      speak: {run: echo one; echo two >&2}
      check:
        needs: [speak]
        if: inputs.fail
        type: fail
        with: {kind: demo.wrong, message: it was asked to fail}
"""


@pytest.fixture
def talks(cli: Cli) -> Cli:
    flow = cli.flow(FLOW)
    assert cli("run", flow).returncode == 0
    assert cli("run", flow, "-i", "fail=true").returncode == 1
    return cli


def test_runs_are_listed_newest_first_and_filtered(talks: Cli) -> None:
    both = talks.json("runs", "list", "--json")["runs"]
    failed = talks.json("runs", "list", "--status", "failed", "--json")["runs"]
    older = talks.json("runs", "list", "--before", both[0]["run_id"], "--json")["runs"]

    assert [run["status"] for run in both] == ["failed", "succeeded"]
    assert failed == both[:1]
    assert older == both[1:]
    assert talks("runs", "list", "--ids").stdout.split() == [run["run_id"] for run in both]
    assert talks.json("runs", "list", "--flow", "other", "--json") == {"runs": []}


def test_an_id_that_several_begin_with_is_told_from_one_that_none_has(talks: Cli) -> None:
    runs = talks("runs", "list", "--ids").stdout.split()

    several = talks("runs", "show", "01")
    none = talks("explain", "--run", "zz")

    assert (several.returncode, none.returncode) == (5, 5)
    assert all(run in several.stderr for run in runs)
    assert "several begin so" in several.stderr
    assert "several" not in none.stderr


def test_the_logs_of_a_task_that_is_not_there_are_not_found(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--limit", "1").stdout.strip()

    assert "did you mean 'speak'?" in talks("runs", "logs", run, "speek").stderr
    assert talks("runs", "logs", run, "speek").returncode == 5
    assert talks("runs", "logs", run, "check").returncode == 0


def test_the_list_is_a_plain_table_through_a_pipe(talks: Cli) -> None:
    lines = talks("runs", "list").stdout.splitlines()

    assert lines[0].split() == ["run", "flow", "status", "started", "took"]
    assert [line.split()[2] for line in lines[1:]] == ["failed", "succeeded"]


def test_a_run_is_shown_by_the_beginning_of_its_id(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--status", "failed").stdout.strip()

    text = talks("runs", "show", run[:18])
    found = talks.json("runs", "show", run, "--json")
    task = talks.json("runs", "show", run, "check", "--json")

    assert "demo.wrong: it was asked to fail" in text.stdout
    assert found["run_id"] == run
    assert task["error"]["kind"] == "demo.wrong"
    assert talks("runs", "show", run, "chek").returncode == 5


def test_logs_show_what_tasks_wrote(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--status", "succeeded").stdout.strip()

    every = talks("runs", "logs", run).stdout
    one = [json.loads(line) for line in talks("runs", "logs", run, "speak", "--json").stdout.splitlines()]
    followed = talks("runs", "logs", run, "-f").stdout

    assert "speak" in every
    assert {line["message"] for line in one} == {"one", "two"}
    assert followed == every


def test_ended_runs_are_deleted_and_live_ones_refused(talks: Cli) -> None:
    runs = talks("runs", "list", "--ids").stdout.split()

    deleted = talks("runs", "delete", runs[0])
    neither = talks("runs", "delete")
    rest = talks("runs", "delete", "--older-than", "0s")

    assert "deleted 1 run" in deleted.stderr
    assert neither.returncode == 2
    assert "deleted 1 run" in rest.stderr
    assert talks.json("runs", "list", "--json") == {"runs": []}


def test_nothing_to_resume_is_said_and_fine(talks: Cli) -> None:
    done = talks("runs", "resume", "--all")

    assert done.returncode == 0
    assert "no run waits" in done.stderr
    assert talks("runs", "resume").returncode == 2


def test_a_store_that_is_not_there_is_not_made_by_looking(cli: Cli) -> None:
    done = cli("runs", "list")

    assert done.returncode == 5
    assert not (cli.folder / ".flowbuilder" / "flowbuilder.db").exists()


def test_a_flow_is_explained_before_and_after_it_ran(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--status", "succeeded").stdout.strip()

    before = talks("explain", "flow.yaml").stdout
    after = talks("explain", "--run", run).stdout
    asked = talks("explain", "flow.yaml", "--analyze")
    made = talks("explain", "flow.yaml", "--analyze", "--yes")

    assert "speak" in before
    assert run in after
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert made.returncode == 0, made.stderr
    assert "actual" in made.stdout
    for format in ("json", "mermaid", "dot"):
        assert "speak" in talks("explain", "flow.yaml", "--format", format).stdout
    json.loads(talks("explain", "--run", run, "--format", "json").stdout)


def test_a_graph_is_drawn(talks: Cli) -> None:
    assert "speak" in talks("graph", "flow.yaml").stdout
    assert talks("graph", "flow.yaml", "--format", "dot").stdout.startswith("digraph")


def test_the_schema_accepts_a_flow_and_refuses_a_misspelt_key(cli: Cli) -> None:
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(cli.json("schema"))

    assert validator.is_valid({"flow": "a", "tasks": {"b": {"type": "set", "with": 1}}})
    assert not validator.is_valid({"flow": "a", "task": {"b": {"type": "set", "with": 1}}})


def test_mistakes_are_printed_for_people_and_for_tools(cli: Cli) -> None:
    cli.flow("flow: bad\ntasks:\n  a: {type: htp}\n  b: {type: set, wiht: 1}\n", "bad.yaml")
    cli.flow("flow: good\ntasks:\n  a: {type: set, with: 1}\n", "good.yaml")

    text = cli("validate", "bad.yaml", "good.yaml")
    found = cli.json("validate", "bad.yaml", "--format", "json", code=3)
    sarif = cli.json("validate", "bad.yaml", "--format", "sarif", code=3)

    assert text.returncode == 3
    assert re.search(r"^bad\.yaml:3:\d+: FB\d{3} ", text.stdout, re.MULTILINE)
    assert "did you mean 'http'?" in text.stdout
    assert "2 files: " in text.stderr
    assert found["errors"] >= 2
    assert {one["line"] for one in found["diagnostics"]} == {3, 4}
    assert len(sarif["runs"][0]["results"]) == len(found["diagnostics"])
    assert cli("validate", "good.yaml").returncode == 0


def test_the_doctor_finds_a_healthy_project_healthy(talks: Cli) -> None:
    found = talks.json("doctor", "--json")["checks"]

    assert {one["check"]: one["status"] for one in found}["store"] == "ok"
    assert not [one for one in found if one["status"] == "error"]


def test_the_doctor_finds_a_damaged_store_and_open_secrets(talks: Cli) -> None:
    store = talks.folder / ".flowbuilder" / "flowbuilder.db"
    data = bytearray(store.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    store.write_bytes(data)
    secrets = talks.folder / ".flowbuilder" / "secrets.toml"
    secrets.write_text("")
    secrets.chmod(0o644)

    done = talks("doctor", "--json")
    states = {one["check"]: one["status"] for one in json.loads(done.stdout)["checks"]}

    assert done.returncode == 1
    assert (states["store"], states["secrets"]) == ("error", "error")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_every_command(cli: Cli, shell: str) -> None:
    script = cli("completion", shell).stdout

    assert all(word in script for word in ("run", "validate", "resume", "input-file", "doctor"))


def test_the_bash_completion_completes(cli: Cli) -> None:
    import subprocess

    script = cli("completion", "bash").stdout
    ask = script + 'COMP_WORDS=(flowbuilder runs res); COMP_CWORD=2; _flowbuilder; echo "${COMPREPLY[@]}"\n'
    ask += (
        'COMP_WORDS=(flowbuilder validate --format s); COMP_CWORD=3; _flowbuilder; echo "${COMPREPLY[@]}"\n'
    )

    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.split() == ["resume", "sarif"]


def test_a_reader_that_has_enough_ends_the_command_quietly(talks: Cli) -> None:
    import subprocess

    line = " ".join(talks.command("schema")) + " | head -n 1"
    done = subprocess.run(
        ["bash", "-c", line], cwd=talks.folder, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_runs_are_found_by_the_labels_they_were_given(cli: Cli) -> None:
    flow = cli.flow("flow: talk\nlabels: {team: a}\ntasks: {t: {type: set, with: 1}}\n")
    assert cli("run", flow, "--label", "stage=test", "-l", "note=a = b").returncode == 0
    assert cli("run", flow, "--label", "team=b", "--detach").returncode == 0
    first, second = reversed(cli("runs", "list", "--ids").stdout.split())

    assert cli("runs", "list", "--label", "team=a", "--ids").stdout.split() == [first]
    assert cli("runs", "list", "-l", "team=a", "-l", "note=a = b", "--ids").stdout.split() == [first]
    assert cli("runs", "list", "-l", "team=b", "--ids").stdout.split() == [second]
    assert "labels   note=a = b, stage=test, team=a" in cli("runs", "show", first).stdout
    wrong = cli("runs", "list", "--label", "team")
    assert wrong.returncode == 2
    assert "write NAME=VALUE" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("fork", "x"), "did you mean 'runs fork'?"),
        (("pause", "x"), "did you mean 'runs pause' or 'schedules pause'?"),
        (("emit", "x"), "did you mean 'events emit'?"),
        (("rnu",), "did you mean 'run'?"),
    ],
)
def test_a_command_of_a_group_is_named_where_the_group_is_left_out(
    cli: Cli, words: tuple[str, ...], hint: str
) -> None:
    done = cli(*words)

    assert done.returncode == 2
    assert hint in done.stderr


def test_an_option_is_offered_only_where_it_is_alike(cli: Cli) -> None:
    assert "did you mean '--status'?" in cli("runs", "list", "--statsu", "failed").stderr
    assert "did you mean" not in cli("runs", "cancel", "x", "--json").stderr


def test_what_may_be_left_out_is_not_said_to_be_required(cli: Cli) -> None:
    assert "required: NAME\n" in cli("events", "emit").stderr


def test_moments_are_given_in_the_same_way_to_all_lists(talks: Cli) -> None:
    for command in (("runs", "list"), ("events", "list")):
        for since in ("1h", "2026-01-05", "2026-01-05T06:00"):
            assert talks(*command, "--since", since).returncode == 0
    assert talks("runs", "list", "--ids", "--until", "1h").stdout.split() == []
    assert len(talks("runs", "list", "--ids", "--since", "1h").stdout.split()) == 2


def test_commands_say_in_the_same_words_that_a_run_has_ended(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--limit", "1").stdout.strip()

    for words in (("pause", run), ("resume", run), ("cancel", run), ("priority", run, "7")):
        done = talks("runs", *words)
        assert done.returncode == 1
        assert f"run {run} has ended already: failed" in done.stderr
        assert talks.json("runs", *words, "--json", code=1)["ended"] == [run]


def test_an_empty_key_is_refused(talks: Cli) -> None:
    done = talks("run", "flow.yaml", "--key", "")

    assert done.returncode == 2
    assert "--key is empty" in done.stderr


def test_a_file_that_is_no_archive_is_named(talks: Cli) -> None:
    done = talks("runs", "import", "flow.yaml")

    assert done.returncode == 3
    assert "flow.yaml: this is no archive of runs" in done.stderr


def test_setting_what_is_no_output_is_a_mistake_of_the_command(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--limit", "1").stdout.strip()
    done = talks("runs", "fork", run, "--set", "tasks.speak.status=failed")

    assert done.returncode == 2
    assert "'tasks.speak.status' is no output" in done.stderr


def test_a_name_stands_apart_from_its_bar_in_the_timeline(talks: Cli) -> None:
    run = talks("runs", "list", "--ids", "--limit", "1").stdout.strip()

    assert re.search(r"^\* speak +[·█]", talks("runs", "show", run).stdout, re.M)


def test_an_empty_file_of_tests_says_what_tests_begin_with(cli: Cli) -> None:
    (cli.folder / "flow.test.yaml").touch()

    assert "begin with `tests:`" in cli("test").stderr


def test_the_runs_that_a_map_starts_are_linked_both_ways(cli: Cli) -> None:
    cli.flow("flow: child\ninputs: {n: {type: integer}}\ntasks: {a: {type: set, with: 1}}\n", "child.yaml")
    flow = cli.flow(
        """
        flow: parent
        tasks:
          each:
            for_each: ${{ range(7) }}
            type: flow
            with: {path: child.yaml, inputs: {n: "${{ item }}"}}
        """
    )
    assert cli("run", flow).returncode == 0
    parent = cli("runs", "list", "--flow", "parent", "--ids").stdout.strip()
    children = cli("runs", "list", "--flow", "child", "--ids").stdout.split()

    of_parent = cli("runs", "list", "--parent", parent, "--ids").stdout.split()
    shown = cli("runs", "show", parent).stdout
    task = cli.json("runs", "show", parent, "--json")["tasks"]["each"]
    element = cli.json("runs", "show", parent, "each[2]", "--json")

    assert of_parent == children
    assert len(children) == 7
    assert sorted(task["children"]) == sorted(children)
    assert element["child"] == task["children"][2]
    assert f"{element['child']} (each[2])" in shown
    assert f"and 2 more: flowbuilder runs list --parent {parent}" in shown
    assert cli("runs", "list", "--parent", children[0], "--ids").stdout == ""
    assert cli("runs", "list", "--parent", "zz").returncode == 5


def test_undos_are_told_of_only_where_the_run_came_to_them(cli: Cli) -> None:
    flow = cli.flow(
        """
        flow: trip
        inputs: {fail: {type: boolean, default: false}}
        tasks:
          book: {run: echo book, undo: {run: echo cancel}}
          pay: {needs: [book], if: inputs.fail, type: fail, with: {message: no}}
        """
    )
    well, ill = cli("run", flow), cli("run", flow, "-i", "fail=true")
    run = cli("runs", "list", "--status", "succeeded", "--ids").stdout.strip()

    assert "~undo" not in well.stderr
    assert "~undo" not in cli("runs", "show", run).stdout
    assert cli.json("runs", "show", run, "--json")["tasks"]["book~undo"]["reason"] == "not_failed"
    assert "book~undo" in ill.stderr


def test_an_option_without_a_default_is_said_to_have_none(cli: Cli) -> None:
    shown = cli("runs", "pause", "--help").stdout

    assert "kept with the run" in shown
    assert "unless given" not in shown


def test_triggers_that_are_not_named_are_counted(cli: Cli) -> None:
    names = "".join(f"  - {{name: t{n}, every: 1h}}\n" for n in range(7))
    (cli.folder / "flows").mkdir()
    cli.flow(
        f"flow: f\ntriggers:\n{names}tasks: {{a: {{type: log, with: {{message: x}}}}}}\n", "flows/f.yaml"
    )

    done = cli("schedules", "next", "zzzz")

    assert "there are f/t0, f/t1, f/t2, f/t3, f/t4 and 2 more: `flowbuilder schedules list`" in done.stderr


def test_which_flow_of_a_python_file_is_meant_has_to_be_said(cli: Cli) -> None:
    cli.flow(
        """
        from flowbuilder import flow, task

        @task
        def double(n: int) -> int:
            return n * 2

        @flow
        def one(n: int = 1) -> int:
            return double(n)

        @flow
        def two(n: int = 1) -> int:
            return double(n)
        """,
        "both.py",
    )

    done = cli("run", "both.py")

    assert done.returncode == 5
    assert "'both.py' has several flows: say which" in done.stderr
    assert "both.py:one, both.py:two" in done.stderr
    assert "1 file: nothing wrong" in cli("validate", ".").stderr
