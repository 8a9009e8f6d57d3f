"""No process that a task started outlives its engine, whoever kills what."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flowbuilder.runtime.executors.children import Children, Orphan, end_orphans
from flowbuilder.tasks.child import started_at

ENGINE = """
import asyncio, sys
from pathlib import Path
from flowbuilder.runtime.clock import SystemClock
from flowbuilder.runtime.config import Config
from flowbuilder.runtime.services import EngineServices
from flowbuilder.tasks.api import Call
from flowbuilder.tasks.shell import Shell

folder = Path(sys.argv[1])

class Store:
    path = folder / "store.db"

async def main():
    services = EngineServices(SystemClock(), Config(), Store())
    call = Call(
        {"command": sys.argv[2]}, "run-1", "t", 1, "k", folder, {}, (), lambda *_: print("logged", flush=True), services
    )
    await Shell().run(call)

asyncio.run(main())
"""


def until(condition: Callable[[], object]) -> None:
    """Return when something holds of another process, which tells nobody."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts a process group of its own which does nothing."""
    started: list[subprocess.Popen[bytes]] = []

    def sleeper(*command: str, run_id: str = "run-1") -> subprocess.Popen[bytes]:
        env = {**os.environ, "FLOWBUILDER_RUN_ID": run_id}
        process = subprocess.Popen(command or ("sleep", "3600"), start_new_session=True, env=env)
        started.append(process)
        return process

    yield sleeper
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def orphan(process: subprocess.Popen[bytes], run_id: str = "run-1") -> Orphan:
    return Orphan(process.pid, started_at(process.pid), run_id)


def test_a_recorded_group_that_is_alive_is_ended(sleeper: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = sleeper("sh", "-c", "sleep 3600 & sleep 3600; true")
    until(lambda: psutil.Process(process.pid).children())
    children = psutil.Process(process.pid).children()
    assert end_orphans([orphan(process)]) == 1
    assert not runs(process.pid)
    assert not any(runs(child.pid) for child in children)
    assert end_orphans([orphan(process)]) == 0


def test_another_process_with_the_same_number_is_left_alone(
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    process = sleeper()
    assert end_orphans([Orphan(process.pid, started_at(process.pid) - 1, "run-1")]) == 0
    assert end_orphans([Orphan(2**22 + 1, 1.0, "run-1")]) == 0
    assert runs(process.pid)


@pytest.mark.parametrize(("run_id", "ended"), [("run-1", 1), ("another", 0)])
def test_a_group_without_its_leader_is_known_by_its_run(
    sleeper: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, run_id: str, ended: int
) -> None:
    file = tmp_path / "pid"
    process = sleeper("sh", "-c", f"sleep 3600 & echo $! > {file}", run_id=run_id)
    record = orphan(process)
    process.wait()
    left = int(file.read_text())
    assert runs(left)
    assert end_orphans([record]) == ended
    assert runs(left) is not bool(ended)


def test_a_process_that_ignores_everything_is_ended(sleeper: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = sleeper("sh", "-c", "trap '' TERM INT HUP; echo; sleep 3600")
    os.kill(process.pid, signal.SIGSTOP)
    assert end_orphans([orphan(process)]) == 1
    assert not runs(process.pid)


def test_the_record_is_of_what_is_alive(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    children = Children(tmp_path / "c")
    first, second = sleeper(), sleeper()
    for process in (first, second):
        children.started("run-1", process.pid, started_at(process.pid))
    [file] = (tmp_path / "c").iterdir()
    children.ended(first.pid)
    assert len(file.read_text().splitlines()) == 3
    children.ended(second.pid)
    assert file.read_text() == ""
    children.started("run-1", first.pid, started_at(first.pid))
    assert len(file.read_text().splitlines()) == 1
    children.close()
    assert not runs(first.pid)
    assert runs(second.pid)
    assert not (tmp_path / "c").exists()


def test_the_record_of_an_engine_that_lives_is_not_touched(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = sleeper()
    one, other = Children(tmp_path), Children(tmp_path)
    one.started("run-1", process.pid, started_at(process.pid))
    assert other.end_orphans() == 0
    assert runs(process.pid)
    one.close()
    other.close()


def test_the_next_engine_ends_what_the_record_names(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    gone, alive, torn = sleeper(), sleeper(), sleeper()
    lines = [f"+ {p.pid} {started_at(p.pid)} run-1\n" for p in (gone, alive, torn)]
    (tmp_path / "1-1.children").write_text(f"{lines[0]}{lines[1]}- {gone.pid}\n{lines[2][:-10]}")
    children = Children(tmp_path)
    assert children.end_orphans() == 1
    assert [runs(process.pid) for process in (gone, alive, torn)] == [True, False, True]
    assert list(tmp_path.iterdir()) == []
    children.close()


def test_a_guardian_that_was_killed_is_replaced(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    children = Children(None)
    first, second = sleeper(), sleeper()
    children.started("run-1", first.pid, started_at(first.pid))
    assert children._guardian is not None
    children._guardian.kill()
    children._guardian.wait()
    children.started("run-1", second.pid, started_at(second.pid))
    assert children._guardian.stdin is not None
    children._guardian.stdin.close()  # as when the engine dies
    until(lambda: not runs(first.pid) and not runs(second.pid))
    children.close()


def test_what_cannot_be_recorded_is_not_taken_for_recorded(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    (tmp_path / "file").touch()
    children = Children(tmp_path / "file" / "c")
    process = sleeper()
    with pytest.raises(OSError, match="Not a directory"):
        children.started("run-1", process.pid, started_at(process.pid))
    children.close()
    assert runs(process.pid)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Return a function that starts an engine's process, which runs a shell task."""
    started: list[subprocess.Popen[str]] = []

    def engine(script: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(ENGINE), str(tmp_path), script]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield engine
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


STUBBORN = (
    "trap '' TERM; echo $$ > pid; (trap '' TERM; echo $BASHPID > inner; exec sleep 3600) & echo; sleep 3600"
)


def test_children_die_with_a_killed_engine(
    engine: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = engine(STUBBORN)
    assert process.stdout is not None
    assert process.stdout.readline() == "logged\n"
    until(lambda: (tmp_path / "inner").exists() and (tmp_path / "inner").read_text())
    pids = [int((tmp_path / name).read_text()) for name in ("pid", "inner")]
    assert all(runs(pid) for pid in pids)
    process.kill()
    until(lambda: not any(runs(pid) for pid in pids))


def test_recovery_ends_children_when_the_guardian_was_killed_too(
    engine: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = engine(STUBBORN)
    assert process.stdout is not None
    assert process.stdout.readline() == "logged\n"
    until(lambda: (tmp_path / "inner").exists() and (tmp_path / "inner").read_text())
    pids = [int((tmp_path / name).read_text()) for name in ("pid", "inner")]
    for child in psutil.Process(process.pid).children():
        if child.pid not in pids:
            child.kill()
    process.kill()
    process.wait()
    assert all(runs(pid) for pid in pids)
    following = Children(tmp_path / "store.db.children")
    assert following.end_orphans() == 1
    assert not any(runs(pid) for pid in pids)
    following.close()


def test_an_engine_killed_at_any_moment_leaves_nothing(
    engine: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Killed while a task begins: either its script never runs, or it is ended."""
    marks = tmp_path / "marks"
    marks.mkdir()
    for delay in range(10):
        process = engine("echo $$ > marks/$$; exec sleep 3600")
        until(lambda process=process: psutil.Process(process.pid).children() or process.poll() is not None)
        time.sleep(delay / 1000)  # the moment is what is tested
        process.kill()
        process.wait()
    until(lambda: not any(runs(int(mark.name)) for mark in marks.iterdir()))
