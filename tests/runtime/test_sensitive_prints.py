"""What sensitive Python functions print is `***`, wherever they run; what others print is let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder.runtime.executors import worker
from flowbuilder.testing.flows import load_text, run_flow

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import asyncio, sys, threading

meet = threading.Barrier(2)

def say(text):
    print("I say", text, flush=True)
    sys.stderr.write(f"{text}\\n")
    return text

async def say_later(text):
    print("before", text, flush=True)
    await asyncio.sleep(0.01)
    print("later", text, flush=True)
    return text

def together(text):
    meet.wait(10)
    print("together", text, flush=True)
    meet.wait(10)
"""


@pytest.mark.parametrize("executor", ["inline", "thread", "auto"])
@pytest.mark.parametrize("function", ["say", "say_later"])
async def test_what_a_sensitive_function_prints_is_not_seen(
    executor: str, function: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sayings.py").write_text(CODE)
    run = await run_flow(
        load_text(
            f"""
flow: t
inputs: {{p: {{type: string, sensitive: true}}}}
tasks:
  one: {{type: python, sensitive: true, executor: {executor}, with: {{call: "sayings:{function}", args: ["${{{{ inputs.p }}}}"]}}}}
  same: {{type: set, with: "${{{{ tasks.one.output == inputs.p }}}}"}}
""",
            tmp_path,
        ),
        {"p": "pin-4711"},
    )
    told = "".join(capfd.readouterr())

    assert run.tasks["same"].output is True
    assert "4711" not in told
    assert told.count("***") >= 2


@pytest.mark.parametrize("function", ["say", "say_later"])
def test_nor_what_it_prints_in_a_process_of_its_own(
    function: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sayings.py").write_text(CODE)
    name = f"sayings:{function}"
    for hushed in (True, False):
        outcome = worker.execute(tmp_path, name, ("pin-4711",), {}, worker._imported[0], hushed)
        told = "".join(capsys.readouterr())
        assert outcome == ("value", "pin-4711")
        assert ("4711" in told) is not hushed
        assert ("***" in told) is hushed


async def test_what_others_print_meanwhile_is_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sayings.py").write_text(CODE)
    await run_flow(
        load_text(
            """
flow: t
tasks:
  hushed: {type: python, sensitive: true, executor: thread, with: {call: "sayings:together", args: ["nothing"]}}
  heard: {type: python, executor: thread, with: {call: "sayings:together", args: ["something"]}}
""",
            tmp_path,
        )
    )
    told = "".join(capfd.readouterr())

    assert "something" in told  # what two threads print at once may be mixed
    assert "nothing" not in told
