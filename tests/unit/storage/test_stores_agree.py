"""SQLite and memory agree, whatever is done to both: the plain store is the oracle of the clever one."""

import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from flowbuilder.core.ids import RunIds
from flowbuilder.storage.api import (
    LIVE,
    Accept,
    Append,
    Change,
    KeyTaken,
    Log,
    RunFilter,
    RunRow,
    Statistic,
    Store,
)
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.store_under_test import NOON, Waiting

STATUSES = ("queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled")
statuses = st.sampled_from(STATUSES)
flows = st.sampled_from(("f", "g"))
moments = st.sampled_from((None, NOON + 10.0, NOON + 20.0, NOON + 30.0))
owners = st.sampled_from((None, "a"))
picks = st.integers(0, 11)


class TwoStores(RuleBasedStateMachine):
    """Does the same to both stores; two engines, `a` and `b`, use each."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        memory, sqlite = MemoryStore(), SqliteStore(self.folder / "s.db")
        self.engines: dict[str, tuple[Store, Store]] = {
            "a": (memory, sqlite),
            "b": (MemoryStore(memory.place), SqliteStore(sqlite.path)),
        }
        for name, stores in self.engines.items():
            for store in stores:
                store.open(name)
        self.ids = RunIds(1)
        self.runs: list[str] = []
        self.sequences: dict[str, itertools.count[int]] = {}
        self.gathered: list[Any] = []

    def teardown(self) -> None:
        for stores in getattr(self, "engines", {}).values():
            for store in stores:
                store.close()
        shutil.rmtree(getattr(self, "folder", "no such folder"), ignore_errors=True)

    def both(self, ask: Callable[[Store], Any], engine: str = "a") -> Any:
        memory, sqlite = (ask(store) for store in self.engines[engine])
        assert sqlite == memory
        return memory

    def pick(self, number: int) -> str:
        return self.runs[number % len(self.runs)] if self.runs else "none"

    # -- writes gather, then are committed together ------------------------------

    @rule(flow=flows, status=statuses, key=st.sampled_from((None, None, "k")), owner=owners, wake_at=moments)
    def accept(
        self, flow: str, status: str, key: str | None, owner: str | None, wake_at: float | None
    ) -> None:
        run_id = self.ids.make(NOON + len(self.runs))
        row = RunRow(run_id, flow, "h", status, NOON, b"", key=key, owner=owner, wake_at=wake_at)  # type: ignore[arg-type]
        self.runs.append(run_id)
        self.sequences[run_id] = itertools.count()
        self.gathered.append(Accept(row))

    @rule(number=picks, data=st.binary(max_size=20))
    def append(self, number: int, data: bytes) -> None:
        if self.runs:
            run_id = self.pick(number)
            self.gathered.append(Append(run_id, next(self.sequences[run_id]), data))

    @rule(number=picks, status=statuses, owner=owners, wake_at=moments)
    def change(self, number: int, status: str, owner: str | None, wake_at: float | None) -> None:
        self.commit()
        row = self.engines["a"][0].run(self.pick(number))
        if row is not None and row.status not in LIVE:
            return  # what has ended stays ended
        values = {"status": status, "owner": owner, "wake_at": wake_at}
        self.gathered.append(Change(self.pick(number), values))

    @rule(number=picks, ended_at=moments)
    def change_another_column(self, number: int, ended_at: float | None) -> None:
        self.gathered.append(Change(self.pick(number), {"ended_at": ended_at}))

    @rule(number=picks, task=st.sampled_from("tu"))
    def log(self, number: int, task: str) -> None:
        self.gathered.append(Log(self.pick(number), task, NOON, "info", "line"))

    @rule(flow=flows, duration=st.floats(0.0, 100.0), failed=st.booleans())
    def count(self, flow: str, duration: float, failed: bool) -> None:
        self.gathered.append(Statistic(flow, "t", duration, 10, failed))

    @rule()
    def commit(self) -> None:
        outcomes = []
        for store in self.engines["a"]:
            for write in self.gathered:
                store.submit(write)
            done = Waiting()
            store.when_durable(done)
            outcomes.append(done.outcome())
        self.gathered = []
        memory, sqlite = outcomes
        assert type(memory) is type(sqlite)
        if isinstance(memory, KeyTaken):
            assert isinstance(sqlite, KeyTaken)
            assert sqlite.taken == memory.taken
            self.runs = [run_id for run_id in self.runs if run_id not in memory.taken]

    # -- then both are asked -----------------------------------------------------

    @rule(number=picks)
    def look_at_a_run(self, number: int) -> None:
        self.commit()
        run_id = self.pick(number)
        self.both(lambda store: store.run(run_id))
        self.both(lambda store: store.journal(run_id))
        self.both(lambda store: [line for _, line in store.logs(run_id)])

    @rule(flow=st.one_of(st.none(), flows), status=st.sets(statuses, max_size=3), limit=st.integers(1, 5))
    def list_runs(self, flow: str | None, status: set[str], limit: int) -> None:
        self.commit()
        which = RunFilter(flow=flow, status=tuple(sorted(status)), limit=limit)  # type: ignore[arg-type]
        self.both(lambda store: store.runs(which))

    @rule(flow=flows)
    def ask_about_a_flow(self, flow: str) -> None:
        self.commit()
        self.both(lambda store: store.run_by_key(flow, "k"))
        found = [store.statistics(flow) for store in self.engines["a"]]
        assert found[0].keys() == found[1].keys()
        assert {(s.executions, s.failures) for s in found[0].values()} == {
            (s.executions, s.failures) for s in found[1].values()
        }

    @rule(engine=st.sampled_from("ab"), limit=st.integers(1, 3))
    def take_over(self, engine: str, limit: int) -> None:
        self.commit()
        taken = self.both(lambda store: {row.id for row in store.take_over()}, engine)
        assert taken <= set(self.runs)
        due = self.both(lambda store: [row.wake_at for row in store.due(NOON + 20.0, limit)], engine)
        assert len(due) <= limit
        self.both(lambda store: store.next_wake(), engine)

    @rule(number=picks)
    def claim(self, number: int) -> None:
        self.commit()
        run_id = self.pick(number)
        self.both(lambda store: store.claim(run_id), "b")

    @rule(number=picks)
    def command(self, number: int) -> None:
        self.commit()
        run_id = self.pick(number)
        if run_id != "none" and self.both(lambda store: store.run(run_id)) is not None:
            for store in self.engines["b"]:
                store.send(run_id, "cancel", b"")
            self.both(lambda store: [command.run_id for command in store.receive()])

    @rule()
    def the_second_engine_dies(self) -> None:
        self.commit()
        memory, sqlite = self.engines["b"]
        assert isinstance(memory, MemoryStore)
        assert isinstance(sqlite, SqliteStore)
        memory.abandon()
        sqlite.abandon()
        for store in (memory, sqlite):
            store.open("b")
        self.both(lambda store: {row.id: row.crashes for row in store.take_over()})

    @rule(keep=st.one_of(st.none(), st.integers(0, 5)), older_than=st.sampled_from((0.0, NOON + 20.0)))
    def retain(self, keep: int | None, older_than: float) -> None:
        self.commit()
        self.both(lambda store: store.retain(older_than=older_than, keep=keep, limit=3))
        self.runs = [
            run_id for run_id in self.runs if self.both(lambda store, run_id=run_id: store.run(run_id))
        ]


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
