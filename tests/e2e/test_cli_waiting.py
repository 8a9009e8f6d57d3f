"""Signals, events and approvals from the command line, with an engine elsewhere and with none."""

import json
import time

import pytest
from command_line import Cli

FLOW = """
    flow: order
    inputs: {order: {type: string}}
    tasks:
      paid: {type: wait, with: {event: order.paid, filter: event.payload.order == inputs.order}}
      packed: {type: wait, needs: [paid], with: {signal: packed}}
      ask:
        type: approval
        needs: [packed]
        with:
          message: Send ${{ inputs.order }}?
          form: {properties: {parcels: {type: integer, minimum: 1}}, required: [parcels]}
          assignees: [ada]
    outputs:
      paid: ${{ tasks.paid.output.amount }}
      packed: ${{ tasks.packed.output }}
      parcels: ${{ tasks.ask.output.form.parcels }}
"""


def wait_for(cli: Cli, run: str, task: str) -> None:
    """Return when a task of a run waits."""
    until = time.monotonic() + 30
    while cli.json("runs", "show", run, task, "--json")["status"] != "waiting":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_order_is_paid_packed_and_approved_from_other_terminals(cli: Cli) -> None:
    flow = cli.flow(FLOW)
    run = cli("run", flow, "-i", "order=A7", "--detach").stdout.split()[-1]
    wait_for(cli, run, "paid")

    id = cli("events", "emit", "order.paid", "order=A7", "amount=12.5", "--id", "bill-1").stdout.strip()
    assert id == "bill-1"
    assert cli("events", "emit", "order.paid", "order=A7", "amount=99", "--id", "bill-1").returncode == 0
    wait_for(cli, run, "packed")
    assert cli("signal", run[:20], "packed", "-d", '{"by": "bob"}').returncode == 0
    wait_for(cli, run, "ask")

    (open,) = cli.json("approvals", "list", "--json")["approvals"]
    assert (open["run_id"], open["task"], open["message"]) == (run, "ask", "Send A7?")
    assert "Send A7?" in cli("approvals", "list").stdout
    assert "parcels" in cli("approvals", "show", run).stdout
    refused = cli("approvals", "approve", run, "--as", "eve")
    assert (refused.returncode, "only ada may decide" in refused.stderr) == (1, True)
    wrong = cli("approvals", "approve", run, "--as", "ada", "-i", "parcels=0")
    assert (wrong.returncode, "$.parcels" in wrong.stderr) == (2, True)
    wrong = cli("approvals", "approve", run, "--as", "ada", "-i", "parcels=many")
    assert (wrong.returncode, "is no integer" in wrong.stderr) == (2, True)
    assert cli("approvals", "approve", run, "ask", "--as", "ada", "-i", "parcels=2").returncode == 0

    assert cli("runs", "watch", run).returncode == 0
    assert cli.json("runs", "show", run, "--json")["outputs"] == {
        "paid": 12.5,
        "packed": {"by": "bob"},
        "parcels": 2,
    }
    ended = cli("signal", run, "packed")
    assert (ended.returncode, "has ended" in ended.stderr) == (1, True)
    assert "nothing is to be decided" in cli("approvals", "list").stderr
    assert cli("approvals", "reject", run, "--as", "ada").returncode == 1


def test_events_are_listed(cli: Cli) -> None:
    cli("run", cli.flow("flow: a\ntasks: {a: {type: set, with: 1}}"))
    cli("events", "emit", "a.b", "-d", "[1, 2]")
    cli("events", "emit", "c", "text=free text", "number=3", "flag=true")
    cli("events", "emit", "a.b")
    lines = [json.loads(line) for line in cli("events", "list", "--json").stdout.splitlines()]
    assert [(line["name"], line["payload"]) for line in lines] == [
        ("a.b", [1, 2]),
        ("c", {"text": "free text", "number": 3, "flag": True}),
        ("a.b", None),
    ]
    assert lines[0]["source"] == "person"
    assert len(cli("events", "list", "--name", "a.b").stdout.splitlines()) == 2
    assert len(cli("events", "list", "-n", "1").stdout.splitlines()) == 1
    assert cli("events", "list", "--since", "1h", "--name", "none").stdout == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("events", "emit", "a b"), 2, "name"),
        (("events", "emit", "a", "x"), 2, "x=VALUE"),
        (("events", "emit", "a", "-d", "{"), 2, "is no JSON"),
        (("events", "emit", "a", "-d", "@nowhere.json"), 2, "nowhere.json"),
        (("events", "emit", "a", "x=1", "-d", "3"), 2, "no mapping"),
        (("signal", "none", "go"), 5, "there is no run"),
        (("approvals", "show", "none"), 5, "there is no run"),
        (("approvals", "list", "--run", "none"), 5, "there is no run"),
        (("events", "list", "-n", "0"), 2, "--limit"),
    ],
)
def test_what_is_wrong_is_told(cli: Cli, words: tuple[str, ...], code: int, said: str) -> None:
    cli("run", cli.flow("flow: a\ntasks: {a: {type: set, with: 1}}"))
    answer = cli(*words)
    assert (answer.returncode, said in answer.stderr, "Traceback" in answer.stderr) == (code, True, False)


WAITS = """
    flow: waits
    tasks:
      nap: {type: sleep, with: {for: 2h}}
      short: {type: sleep, with: {for: 10ms}}
      go: {type: wait, with: {signal: go, timeout: 1h}}
      paid: {type: wait, with: {event: order.paid}}
      ask: {type: approval, with: {message: Ship it?}}
      again: {run: exit 1, effect: read, retry: {attempts: 2, delay: 1h, jitter: none}}
"""


def test_without_a_terminal_a_run_says_what_it_waits_for_and_how_it_is_answered(cli: Cli) -> None:
    process = cli.start("run", cli.flow(WAITS))
    assert process.stderr is not None
    lines: list[str] = []
    while len(lines) < 8:
        lines.append(process.stderr.readline().rstrip("\n"))
    run = cli("runs", "list", "--ids").stdout.strip()
    told = "\n".join(lines)

    assert "go waits for the signal 'go', until" in told
    assert f"  flowbuilder signal {run} go" in lines
    assert "  flowbuilder events emit order.paid" in lines
    assert f"ask waits for an approval: Ship it?\n  flowbuilder approvals approve {run} ask" in told
    assert "nap waits until" in told
    assert "again waits for the next attempt, until" in told
    assert "short" not in told

    shown = cli("runs", "show", run).stdout
    assert "for the signal 'go', until" in shown
    assert ", in 59m" in shown or ", in 1h" in shown
    listed = cli("runs", "list").stdout
    assert "nap until" in listed
    assert "; and 4 more" in listed
    assert (
        cli.json("runs", "show", run, "nap", "--json")["until"]
        > cli.json("runs", "show", run, "go", "--json")["until"]
    )
