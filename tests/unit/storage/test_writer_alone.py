"""Who is alone may commit on his own thread, and only then."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowbuilder.core.errors import StoreError
from flowbuilder.storage.api import Append
from flowbuilder.storage.sqlite import writer as writing
from flowbuilder.storage.sqlite.group import Batch, Group
from flowbuilder.storage.sqlite.writer import Contended, Writer
from flowbuilder.testing.store_under_test import Waiting

HERE = "the caller's thread"
THERE = "the writer's thread"


class Recorder:
    """A committer that writes down on which thread it was called, and does what a test tells it to."""

    def __init__(self) -> None:
        self.where: list[str] = []
        self.written: list[Batch] = []
        self.meanwhile: Callable[[], None] | None = None
        """What somebody else does while the caller commits."""
        self.takes = 0.0
        self.fails: Exception | None = None
        self.contended = False
        self.has_upkeep = False
        self.asleep = threading.Event()

    def commit(self, group: Group, *, patient: bool = True) -> dict[str, str]:
        here = threading.current_thread() is threading.main_thread()
        if self.meanwhile is not None and not patient:
            self.meanwhile()
        group.melt()
        if self.fails is not None and (not isinstance(self.fails, Contended) or not patient):
            raise self.fails
        self.where.append(HERE if here else THERE)
        time.sleep(self.takes)  # a slow disk: nothing else tells the writer that it is one
        self.written += group.melt()[2]
        return {}

    def between(self) -> None: ...

    def idle(self) -> float | None:
        self.asleep.set()
        return None

    def settle(self, cursor: object) -> None: ...

    def abandon(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no commit count as long because the machine has other things to do."""
    monkeypatch.setattr(writing, "_SHORT", 10.0)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def writer(recorder: Recorder):
    writer = Writer(recorder, Path("store.db"))  # type: ignore[arg-type]
    yield writer
    writer.close()


def hand_over(writer: Writer, recorder: Recorder, run_id: str = "r", *, alone: bool = True) -> object:
    """Hand a write over while the writer's thread sleeps; return the outcome."""
    assert recorder.asleep.wait(10)
    until = time.monotonic() + 10
    while writer._turn.locked() and time.monotonic() < until:
        pass  # it is about to sleep
    done = Waiting()
    writer.hand_over([Append(run_id, 0, b"x"), done], alone=alone)
    return done.outcome()


def test_who_is_alone_commits_on_his_own_thread(writer: Writer, recorder: Recorder) -> None:
    assert hand_over(writer, recorder) is None
    assert hand_over(writer, recorder) is None

    assert recorder.where == [HERE, HERE]


def test_who_is_not_alone_leaves_it_to_the_writer(writer: Writer, recorder: Recorder) -> None:
    assert hand_over(writer, recorder, alone=False) is None

    assert recorder.where == [THERE]


def test_after_a_long_commit_the_writer_has_the_next_ones(
    writer: Writer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_SHORT", 0.001)
    recorder.takes = 0.02
    hand_over(writer, recorder)
    recorder.takes = 0.0
    hand_over(writer, recorder)

    assert recorder.where == [HERE, THERE]


def test_a_file_that_others_write_to_is_left_to_the_writer(writer: Writer, recorder: Recorder) -> None:
    recorder.contended = True
    hand_over(writer, recorder)

    assert recorder.where == [THERE]


def test_who_finds_another_process_in_the_way_hands_his_group_to_the_writer(
    writer: Writer, recorder: Recorder
) -> None:
    recorder.fails = Contended()

    assert hand_over(writer, recorder) is None
    assert recorder.where == [THERE]
    assert [run_id for run_id, _, _ in recorder.written] == ["r"]


def test_what_comes_while_a_group_is_handed_to_the_writer_is_written_too(
    writer: Writer, recorder: Recorder
) -> None:
    recorder.fails = Contended()
    behind = Waiting()
    recorder.meanwhile = lambda: writer._items.extend([Append("behind", 0, b"y"), behind])

    assert hand_over(writer, recorder) is None
    assert behind.outcome() is None
    assert [run_id for run_id, _, _ in recorder.written] == ["r", "behind"]


def test_a_commit_that_fails_on_the_callers_thread_is_told_and_loses_what_is_behind_it(
    writer: Writer, recorder: Recorder
) -> None:
    recorder.fails = OSError(28, "No space left on device")
    error = hand_over(writer, recorder, "lost")
    recorder.fails = None
    behind = hand_over(writer, recorder, "behind")

    assert isinstance(error, StoreError)
    assert isinstance(behind, StoreError)
    assert writer.lost() == {"lost", "behind"}
    assert hand_over(writer, recorder, "kept") is None
    assert [run_id for run_id, _, _ in recorder.written] == ["kept"]


def test_upkeep_that_has_come_up_wakes_the_writer(writer: Writer, recorder: Recorder) -> None:
    assert recorder.asleep.wait(10)
    recorder.has_upkeep = True
    hand_over(writer, recorder)
    recorder.asleep.clear()
    writer.hand_over([Append("r", 1, b"x"), Waiting()], alone=True)

    assert recorder.asleep.wait(10)


def test_a_closed_writer_refuses_who_is_alone(recorder: Recorder) -> None:
    writer = Writer(recorder, Path("store.db"))  # type: ignore[arg-type]
    writer.close()
    done = Waiting()
    writer.hand_over([Append("r", 0, b"x"), done], alone=True)

    assert "is closed" in str(done.outcome())
    assert recorder.written == []
