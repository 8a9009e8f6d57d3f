"""Pausing, resuming, cancelling from beside: one run or many, with an engine that drives them or none."""

import asyncio
import os

import pytest
from command_line import Cli

from flowbuilder import Engine, load
from world import until

HELD = """
    flow: held
    tasks:
      first: {run: "echo > began; cat go; echo first >> deeds"}
      second: {needs: [first], run: "echo second >> deeds"}
    finally:
      tidy: {run: "echo tidy >> deeds"}
"""
ASLEEP = """
    flow: asleep
    inputs: {n: {type: integer, default: 0}}
    labels: {team: night}
    tasks:
      nap: {type: sleep, with: {for: 1d}}
    finally:
      tidy: {run: "echo tidy >> deeds"}
"""


def deeds(cli: Cli) -> list[str]:
    path = cli.folder / "deeds"
    return path.read_text().split() if path.exists() else []


def wait_for(path: os.PathLike[str]) -> None:
    """Read a pipe: returns when somebody has written to it."""
    with open(path) as stream:
        stream.read()


@pytest.fixture
def asleep(cli: Cli) -> Cli:
    """Six runs that sleep in the store, with no engine."""
    flow = cli.flow(f"{ASLEEP}    description: in {cli.folder}\n", "asleep.yaml")

    async def start() -> None:
        async with Engine(cli.folder / ".flowbuilder" / "flowbuilder.db", recover=False) as engine:
            for n in range(6):
                labels = {"odd": "yes"} if n % 2 else None
                await engine.start(load(cli.folder / flow), {"n": n}, labels=labels)
            await until(lambda: not engine.core.machine.runs.live)

    asyncio.run(start())
    return cli


def statuses(cli: Cli) -> list[str]:
    return [run["status"] for run in cli.json("runs", "list", "--json")["runs"]]


def test_a_run_is_paused_beside_its_engine_and_goes_on_in_another(cli: Cli) -> None:
    began, go = cli.fifo("began"), cli.fifo("go")
    first = cli.start("run", cli.flow(HELD), "--json")
    wait_for(began)
    run = cli("runs", "list", "--ids").stdout.strip()

    asked = cli("runs", "pause", run, "--reason", "a look first")
    assert (asked.returncode, asked.stderr) == (0, f"run {run} is asked to pause\n")
    with open(go, "w") as stream:
        stream.write("on you go")
    while cli.json("runs", "show", run, "--json")["tasks"]["first"]["status"] != "succeeded":
        pass
    shown = cli.json("runs", "show", run, "--json")
    assert (shown["status"], shown["tasks"]["second"]["status"]) == ("paused", "pending")
    assert shown["paused"]["reason"] == "a look first"
    assert ": a look first" in cli("runs", "show", run).stdout
    assert deeds(cli) == ["first"]

    done = cli("runs", "resume", run)
    assert done.returncode == 0, done.stderr
    assert deeds(cli) == ["first", "second", "tidy"]
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert '"status":"succeeded"' in out


def test_a_paused_run_is_left_alone_by_a_general_resume_and_cancelled_where_it_lies(asleep: Cli) -> None:
    run, *_ = asleep("runs", "list", "--ids").stdout.split()

    assert asleep("runs", "pause", run).stderr == f"run {run} is paused\n"
    assert asleep("runs", "pause", run).stderr == f"run {run} is paused\n"
    assert statuses(asleep) == ["paused"] + ["waiting"] * 5
    assert asleep("runs", "priority", run, "90").stderr == f"run {run} has priority 90 from now on\n"
    cancelled = asleep("runs", "cancel", run, "--reason", "no more of it")

    assert f"run {run} is cancelled" in cancelled.stderr
    shown = asleep.json("runs", "show", run, "--json")
    assert (shown["status"], shown["error"]["message"], shown["priority"]) == (
        "cancelled",
        "no more of it",
        90,
    )
    assert deeds(asleep) == ["tidy"]
    assert "has ended already: cancelled" in asleep("runs", "cancel", run).stderr


def test_many_are_chosen_by_flow_status_time_and_label(asleep: Cli) -> None:
    look = asleep("runs", "pause", "--flow", "asleep", "--dry-run")
    assert look.returncode == 0
    assert look.stderr.startswith("would pause 6 runs\n")
    assert asleep("runs", "pause", "--label", "odd=yes", "--dry-run").stderr.startswith(
        "would pause 3 runs\n"
    )
    assert asleep("runs", "pause", "--since", "1h", "--dry-run").stderr.startswith("would pause 6 runs\n")
    assert "no run fits" in asleep("runs", "pause", "--until", "1h", "--yes").stderr
    assert "no run fits" in asleep("runs", "pause", "--until", "2020-01-01", "--yes").stderr
    assert statuses(asleep) == ["waiting"] * 6

    asleep("runs", "pause", "--label", "odd=yes", "--label", "team=night", "--yes")
    assert statuses(asleep) == ["paused", "waiting"] * 3
    asleep("runs", "priority", "--status", "paused", "3", "-y")
    assert [run["priority"] for run in asleep.json("runs", "list", "--json")["runs"]] == [3, 50] * 3
    cancelled = asleep("runs", "cancel", "--status", "paused", "--status", "waiting", "--yes")
    assert cancelled.returncode == 0
    assert statuses(asleep) == ["cancelled"] * 6
    assert deeds(asleep) == ["tidy"] * 6
    assert "deleted 6 runs" in asleep("runs", "delete", "--flow", "asleep", "--yes").stderr
    assert statuses(asleep) == []


def test_nothing_is_done_to_many_unless_somebody_agrees(asleep: Cli) -> None:
    done = asleep("runs", "cancel", "--flow", "asleep")

    assert done.returncode == 2
    assert "this would cancel 6 runs" in done.stderr
    assert "add --yes" in done.stderr
    assert statuses(asleep) == ["waiting"] * 6


@pytest.mark.parametrize("command", ["cancel", "pause", "resume", "delete"])
def test_runs_are_named_or_chosen_and_not_both(asleep: Cli, command: str) -> None:
    for words in ((), ("0", "--flow", "asleep")):
        done = asleep("runs", command, *words)
        assert done.returncode == 2
        assert "name runs, or choose them" in done.stderr
    assert asleep("runs", command, "--label", "odd").returncode == 2
    assert "no moment" in asleep("runs", command, "--since", "yesterday").stderr


def test_wrong_numbers_of_priority_are_refused(asleep: Cli) -> None:
    run, *_ = asleep("runs", "list", "--ids").stdout.split()

    assert "from 0 to 100" in asleep("runs", "priority", run, "101").stderr
    assert asleep("runs", "priority", run, "high").returncode == 2
    assert asleep("runs", "priority", run).returncode == 2


FORKED = """
    flow: forked
    inputs: {n: {type: integer, default: 1}}
    tasks:
      a: {run: "echo a >> deeds; printf 5"}
      b: {type: set, with: "${{ int(tasks.a.output.stdout) * inputs.n }}"}
      c: {needs: [b], run: "echo c >> deeds; test -e ready"}
    outputs: {b: "${{ tasks.b.output }}"}
"""


def test_what_failed_is_done_again_when_it_can_go_well(cli: Cli) -> None:
    failed = cli.json("run", cli.flow(FORKED), "--json", "--quiet", code=1)["run_id"]
    (cli.folder / "ready").touch()

    done = cli("runs", "rerun", failed, "--failed", "--json")
    again = cli.json("runs", "show", failed, "--json")["forks"]

    assert done.returncode == 0
    assert f"took over from run {failed}: a, b" in done.stderr
    assert deeds(cli) == ["a", "c", "c"]
    assert len(again) == 1
    shown = cli.json("runs", "show", again[0], "--json")
    assert (shown["rerun_of"], shown["again"]) == (failed, ["c"])
    assert shown["tasks"]["a"]["taken_over"]
    nothing = cli("runs", "rerun", again[0], "--failed")
    assert (nothing.returncode, "has no task that failed" in nothing.stderr) == (1, True)


def test_a_fork_has_other_inputs_outputs_or_an_edited_flow(cli: Cli) -> None:
    (cli.folder / "ready").touch()
    run = cli.json("run", cli.flow(FORKED), "--json")["run_id"]

    inputs = cli.json("runs", "fork", run, "--from", "b", "--set", "inputs.n=3", "--json")
    outputs = cli.json("runs", "fork", run, "--set", 'tasks.a.output.stdout="8"', "--json")
    edited = cli.flow(FORKED.replace("* inputs.n", "+ 100"), "edited.yaml")
    flow = cli.json("runs", "fork", run, "--flow", edited, "--from", "b", "--json")

    assert [found["outputs"] for found in (inputs, outputs, flow)] == [{"b": 15}, {"b": 8}, {"b": 105}]
    assert deeds(cli) == ["a", "c", "c", "c", "c"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "say what is to be other"),
        (("--from", "bb"), 5, "did you mean"),
        (("--set", "n=3"), 2, "inputs.NAME=VALUE"),
        (("--set", "inputs.n=three"), 2, "$.n"),
        (("--set", "tasks.a.stdout=3"), 2, "tasks.TASK.output"),
        (("--from", "a[0]"), 1, "is no map"),
        (("--flow", "missing.yaml"), 5, "missing.yaml"),
    ],
)
def test_a_fork_that_makes_no_sense_is_refused(
    cli: Cli, words: tuple[str, ...], code: int, told: str
) -> None:
    (cli.folder / "ready").touch()
    run = cli.json("run", cli.flow(FORKED), "--json")["run_id"]

    done = cli("runs", "fork", run, *words)

    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert told in done.stderr


def test_a_fork_is_left_to_a_background_engine(cli: Cli) -> None:
    (cli.folder / "ready").touch()
    run = cli.json("run", cli.flow(FORKED), "--json")["run_id"]

    fork = cli("runs", "fork", run, "--from", "c", "--detach").stdout.strip()

    assert cli("runs", "watch", fork).returncode == 0
    assert cli.json("runs", "show", fork, "--json")["forked_from"] == run
    assert "did you mean" in cli("runs", "fork", run, "--from", "cc", "--detach").stderr


def test_many_that_failed_are_done_again_at_once(cli: Cli) -> None:
    flow = cli.flow(FORKED)
    for _ in range(3):
        assert cli("run", flow, "--quiet").returncode == 1
    (cli.folder / "ready").touch()

    done = cli("runs", "rerun", "--status", "failed", "--failed", "--yes")

    assert done.returncode == 0, done.stderr
    assert "3 runs succeeded" in done.stderr
    assert deeds(cli) == ["a", "c"] * 3 + ["c"] * 3


def test_the_timeline_of_a_run_is_drawn_and_given_as_data(cli: Cli) -> None:
    flow = cli.flow("""
        flow: timed
        tasks:
          first: {run: sleep 0.3}
          flaky: {needs: [first], run: "test -e again || { touch again; exit 1; }", retry: {attempts: 2, delay: 300ms, jitter: none}}
          nap: {needs: [first], type: sleep, with: {for: 200ms}}
          each: {for_each: [1], type: set, with: "${{ item }}"}
    """)
    run = cli.json("run", flow, "--json")["run_id"]

    text = cli("runs", "show", run).stdout
    bars = {bar["task"]: bar for bar in cli.json("runs", "show", run, "--json")["timeline"]}

    assert "* first" in text
    assert "* flaky" in text
    assert "  nap" in text
    assert "1 item\n" in text
    assert "█ running" in text
    assert [one["kind"] for one in bars["flaky"]["segments"]][-3:] == ["running", "retry", "running"]
    assert bars["nap"]["segments"][-1]["kind"] == "waiting"
    assert (bars["flaky"]["attempts"], bars["first"]["critical"], bars["nap"]["critical"]) == (2, True, False)


def test_a_map_names_the_elements_that_failed(cli: Cli) -> None:
    flow = cli.flow("""
        flow: maps
        tasks:
          some: {for_each: [0, 1, 0], on_error: continue, type: assert, with: {that: "item == 1"}}
          one: {for_each: {a: 1, b: 0}, type: assert, with: {that: "item.value == 1"}}
    """)
    run = cli.json("run", flow, "--json", code=1)["run_id"]

    text = cli("runs", "show", run).stdout

    assert "3 items, 2 failed: [0], [2]" in text
    assert 'one["b"]' in text


def test_an_id_that_is_no_text_is_not_found(cli: Cli) -> None:
    cli("run", cli.flow("flow: t\ntasks: {a: {type: set, with: 1}}\n"), "--quiet")
    for command in ("show", "cancel", "pause", "logs"):
        done = cli("runs", command, os.fsdecode(b"\xff"))
        assert done.returncode == 5, done.stderr
        assert "there is no run" in done.stderr
        assert "fault" not in done.stderr


def test_runs_are_carried_from_one_store_to_another(asleep: Cli) -> None:
    run, *_ = asleep("runs", "list", "--ids").stdout.split()

    exported = asleep("runs", "export", run, "-o", "run.fbruns")
    brought = asleep("runs", "import", "run.fbruns", "--store", "other.db")
    again = asleep("runs", "import", "run.fbruns", "--store", "other.db")

    assert exported.stderr == "exported 1 run to run.fbruns\n"
    assert f"run {run} is here now, and paused" in brought.stderr
    assert f"run {run} is here already" in again.stderr
    assert asleep("runs", "export", "--flow", "asleep", "--yes", "-o", "all").returncode == 0
    assert "6 runs" not in asleep("runs", "import", "all", "--store", "other.db", "--live").stderr
    assert asleep("runs", "import", "flow.yaml").returncode in (1, 5)
    (asleep.folder / "no-archive").write_text("hello")
    assert "no archive" in asleep("runs", "import", "no-archive").stderr


def test_what_became_of_runs_is_printed_for_programs(asleep: Cli) -> None:
    first, second, *rest = sorted(asleep("runs", "list", "--ids").stdout.split())

    assert asleep.json("runs", "priority", first, "7", "--json") == {"changed": [first], "ended": []}
    assert asleep.json("runs", "pause", first, "--dry-run", "--json") == {"runs": [first]}
    paused = asleep.json("runs", "pause", first, second, "--json")
    again = asleep.json("runs", "pause", first, "--json")
    cancelled = asleep.json("runs", "cancel", first, "--json")
    mixed = asleep.json("runs", "cancel", first, second, "--json", code=1)
    chosen = asleep.json("runs", "cancel", "--flow", "asleep", "--yes", "--json")
    exported = asleep.json("runs", "export", first, "-o", "one", "--json")
    brought = asleep.json("runs", "import", "one", "--store", "other.db", "--json")
    known = asleep.json("runs", "import", "one", "--json")

    assert paused == {"paused": [first, second], "asked": [], "already": [], "ended": []}
    assert again == {"paused": [], "asked": [], "already": [first], "ended": []}
    assert cancelled == {"cancelled": [first], "asked": [], "ended": []}
    assert mixed == {"cancelled": [second], "asked": [], "ended": [first]}
    assert sorted(chosen["cancelled"]) == sorted(rest)
    assert exported == {"file": "one", "runs": 1}
    assert brought == {"brought": [first], "paused": [], "known": [], "without_key": []}
    assert known == {"brought": [], "paused": [], "known": [first], "without_key": []}
    assert asleep("runs", "export", first, "--json").returncode == 2
