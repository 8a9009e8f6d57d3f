"""FlowBuilder from Python: scripts, notebooks, asynchronous programs."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import flowbuilder
from flowbuilder import Engine, load

DOUBLE = """
flow: double
inputs: {n: {type: integer, minimum: 1}}
tasks:
  twice: {type: set, with: "${{ inputs.n * 2 }}"}
outputs: {twice: "${{ tasks.twice.output }}"}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".flowbuilder").mkdir()
    (tmp_path / "double.yaml").write_text(DOUBLE)
    for name in [name for name in os.environ if name.startswith("FLOWBUILDER_")]:
        monkeypatch.delenv(name)
    return tmp_path


def test_a_script_runs_a_flow_with_its_inputs_by_name(project: Path) -> None:
    assert flowbuilder.run(project / "double.yaml", n=4) == {"twice": 8}
    assert flowbuilder.run(load(project / "double.yaml"), n=5) == {"twice": 10}

    with flowbuilder.Reader(project / ".flowbuilder" / "flowbuilder.db") as reader:
        assert [(row.flow, row.status) for row in reader.runs()] == [("double", "succeeded")] * 2


async def test_a_notebook_whose_loop_runs_can_do_the_same(project: Path) -> None:
    assert asyncio.get_running_loop().is_running()

    assert flowbuilder.run(str(project / "double.yaml"), n=4) == {"twice": 8}


def test_what_is_wrong_is_raised_where_run_was_called(project: Path) -> None:
    (project / "fails.yaml").write_text("flow: fails\ntasks:\n  a: {type: fail, with: {message: no luck}}\n")
    (project / "wrong.yaml").write_text("flow: wrong\ntasks:\n  a: {type: sett}\n  b: {needs: [c], run: x}\n")

    with pytest.raises(flowbuilder.InputError) as inputs:
        flowbuilder.run(project / "double.yaml", n=0, m=1)
    with pytest.raises(flowbuilder.RunFailed, match="no luck"):
        flowbuilder.run(project / "fails.yaml")
    with pytest.raises(flowbuilder.FlowError) as flow:
        flowbuilder.run(project / "wrong.yaml")
    with pytest.raises(flowbuilder.NotFound):
        flowbuilder.run(project / "missing.yaml")

    assert {path for path, _ in inputs.value.violations} == {"$.n", "$.m"}
    assert len(flow.value.diagnostics) == 2


async def test_an_engine_starts_runs_and_gives_their_results(project: Path) -> None:
    flow = load(project / "double.yaml")

    async with Engine(project / "runs.db") as engine:
        run = await engine.start(flow, {"n": 3}, key="today")
        again = await engine.start(flow, {"n": 3}, key="today")
        outputs = await run.result()
        view = await run.wait()
        with pytest.raises(flowbuilder.KeyConflict, match=run.id):
            await engine.start(flow, {"n": 4}, key="today")

    assert outputs == {"twice": 6}
    assert again.id == run.id
    assert (view.status, view.tasks["twice"].output) == ("succeeded", 6)
    async with Engine(project / "runs.db") as later:
        found = await later.get(run.id[:20])
        assert (found.id, await found.result()) == (run.id, {"twice": 6})


def files_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


async def test_an_engine_in_memory_leaves_nothing_behind(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    before = files_in(project)

    async with Engine.in_memory() as engine:
        run = await engine.start("double.yaml", {"n": 3})
        assert await run.result() == {"twice": 6}

    assert files_in(project) == before


async def test_events_tell_what_happens_until_the_end(project: Path) -> None:
    (project / "two.yaml").write_text(
        "flow: two\ntasks:\n  a: {run: echo hi}\n  b: {needs: [a], run: echo there}\n"
    )

    async with Engine.in_memory() as engine:
        run = await engine.start(project / "two.yaml")
        seen = [(getattr(event, "task", ""), event.status) async for event in run.events()]

    assert seen[-1] == ("", "succeeded")
    assert seen.index(("a", "succeeded")) < seen.index(("b", "running"))


def test_ctrl_c_in_a_script_cancels_the_run_in_order(project: Path) -> None:
    os.mkfifo(project / "began")
    (project / "long.yaml").write_text(
        "flow: long\n"
        "tasks:\n  a: {run: echo started > began; sleep 300}\n"
        "finally:\n  z: {run: echo cleaned > cleaned.txt}\n"
    )
    script = "import flowbuilder\ntry: flowbuilder.run('long.yaml')\nexcept KeyboardInterrupt: print('interrupted')"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=project, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    assert (project / "began").read_text() == "started\n"

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert out == "interrupted\n"
    assert (project / "cleaned.txt").read_text() == "cleaned\n"
    with flowbuilder.Reader(project / ".flowbuilder" / "flowbuilder.db") as reader:
        assert reader.runs()[0].status == "cancelled"


def test_the_public_face_is_about_twenty_names_that_are_there() -> None:
    assert 15 <= len(flowbuilder.__all__) <= 25
    assert all(getattr(flowbuilder, name) is not None for name in flowbuilder.__all__)
    assert set(flowbuilder.__all__) <= set(dir(flowbuilder))
    with pytest.raises(AttributeError):
        _ = flowbuilder.no_such_name  # type: ignore[attr-defined]


def test_importing_it_brings_nothing_that_takes_time() -> None:
    code = (
        "import sys, typing; before = set(sys.modules); import flowbuilder; print(*set(sys.modules) - before)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert set(done.stdout.split()) <= {"flowbuilder", "__future__"}


def test_the_testing_kit_gives_what_its_guide_imports() -> None:
    from flowbuilder import testing

    assert all(getattr(testing, name) for name in testing.__all__)
    assert callable(testing.run_flow)


async def test_a_run_whose_engine_is_closed_says_so_at_once(project: Path) -> None:
    sleeps = project / "sleeps.yaml"
    sleeps.write_text("flow: sleeps\ntasks: {a: {type: sleep, with: {for: 1h}}}\n")
    async with Engine(project / "runs.db") as engine:
        run = await engine.start(sleeps)

    for asked in (run.result, run.wait, run.cancel):
        with pytest.raises(flowbuilder.EngineStopped, match="is closed"):
            await asyncio.wait_for(asked(), 10)


async def test_an_engine_that_is_not_open_says_how_it_is_used(project: Path) -> None:
    with pytest.raises(flowbuilder.EngineStopped, match="async with"):
        await Engine(project / "runs.db").start(project / "double.yaml")


async def test_a_secret_too_short_to_be_masked_is_warned_about_once(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flow = project / "secret.yaml"
    flow.write_text('flow: s\nsecrets: [T]\ntasks: {a: {run: "true", env: {T: "${{ secrets.T }}"}}}\n')
    async with Engine(project / "runs.db", secrets={"T": "short"}) as engine:
        for _ in range(2):
            await (await engine.start(flow)).result()

    assert [record.getMessage() for record in caplog.records].count(
        "the secret 'T' has fewer than 8 characters: it is not masked where it turns up"
    ) == 1
