"""Several processes use one store: commands reach the owner, and what a killed one owned is taken over."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowbuilder.core.ids import RunIds
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.store_under_test import NOON

LISTENER = Path(__file__).with_name("store_listener.py")
RUN = RunIds(7).make(NOON)


@contextmanager
def listener(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(LISTENER), str(path), "listener", RUN], stdout=subprocess.PIPE, text=True
    )
    try:
        assert said(process) == "ready"
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_command_wakes_the_process_that_owns_the_run(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with listener(path) as process:
        command_line = SqliteStore(path)
        command_line.open(None)

        command_line.send(RUN, "cancel", b"because")
        first = said(process)
        command_line.send(RUN, "pause", b"later")
        second = said(process)
        command_line.close()

    assert first == f"{RUN} cancel because"
    assert second == f"{RUN} pause later"


def test_a_command_that_its_owner_did_not_live_to_settle_reaches_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with listener(path) as process:
        other = SqliteStore(path)
        other.open("other")
        assert other.claim(RUN) is None
        other.send(RUN, "cancel", b"because")
        assert said(process) == f"{RUN} cancel because"
        process.kill()
        process.wait()

        taken = other.claim(RUN)
        commands = other.receive()
        other.close()

    assert taken is not None
    assert (taken.owner, taken.crashes) == ("other", 1)
    assert [(command.run_id, command.kind, command.payload) for command in commands] == [
        (RUN, "cancel", b"because")
    ]
