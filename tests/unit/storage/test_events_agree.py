"""SQLite finds by its indexes whom and what the plain store in memory finds by looking at everything."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from flowbuilder.core import values
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.core.ids import RunIds
from flowbuilder.core.matching import digest, write_path
from flowbuilder.storage.api import Accept, Change, RunRow, Store
from flowbuilder.storage.events import Emit, Event, EventFilter, Subscribe, Subscription, Take, Unsubscribe
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.store_under_test import NOON, Waiting

names = st.sampled_from(("a", "b"))
scalars = st.sampled_from((None, True, 1, 1.0, 2, "x", "1", 0.5, [1]))
members = st.sampled_from(("", write_path(["payload", "k"]), write_path(["payload", "l", 0])))
picks = st.integers(0, 3)
paths = st.sampled_from(("p", "q"))


class TwoBoards(RuleBasedStateMachine):
    """Does the same to both stores."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.stores: tuple[Store, Store] = (MemoryStore(), SqliteStore(self.folder / "s.db"))
        ids = RunIds(1)
        self.runs = [ids.make(NOON + n) for n in range(4)]
        for store in self.stores:
            store.open("a")
        self.commit(
            *[
                Accept(RunRow(id, "f", "h", "waiting", NOON, b"", owner=None if n else "a"))
                for n, id in enumerate(self.runs)
            ]
        )
        self.count = 0

    def teardown(self) -> None:
        for store in getattr(self, "stores", ()):
            store.close()
        shutil.rmtree(getattr(self, "folder", "no such folder"), ignore_errors=True)

    def commit(self, *writes: Any) -> None:
        for store in self.stores:
            for write in writes:
                store.submit(write)
            done = Waiting()
            store.when_durable(done)
            assert done.outcome() is None

    def both(self, ask: Any) -> Any:
        memory, sqlite = (self.outcome(ask, store) for store in self.stores)
        assert sqlite == memory
        return memory

    @staticmethod
    def outcome(ask: Any, store: Store) -> Any:
        try:
            return ask(store)
        except FlowBuilderError as error:
            return type(error)

    def event(self, name: str, k: Any, fresh: bool, run: int | None) -> Event:
        self.count += fresh
        payload = {"k": k, "l": [k]} if k != "x" else k
        run_id = None if run is None else self.runs[run]
        return Event(str(self.count), name, values.encode(payload), NOON + self.count, "s", run_id)

    @rule(name=names, k=scalars, fresh=st.booleans(), run=st.none() | picks, alone=st.booleans())
    def emit(self, name: str, k: Any, fresh: bool, run: int | None, alone: bool) -> None:
        event = self.event(name, k, fresh, run)
        if alone:
            self.both(lambda store: store.events().emit(event))
        else:
            self.commit(Emit(event))

    @rule(run=picks, path=paths, name=names, signal=st.booleans(), member=members, k=scalars, back=picks)
    def subscribe(self, run: int, path: str, name: str, signal: bool, member: str, k: Any, back: int) -> None:
        last: int = self.both(lambda store: store.events().last())
        wanted = digest(k) if member else ""
        asked = member if wanted and not signal else ""
        after = max(0, last - back)
        self.commit(
            Subscribe(Subscription(self.runs[run], path, name, signal, asked, wanted if asked else "", after))
        )

    @rule(run=picks, path=paths)
    def unsubscribe(self, run: int, path: str) -> None:
        self.commit(Unsubscribe(self.runs[run], path))

    @rule(run=picks)
    def take(self, run: int) -> None:
        found = self.both(lambda store: store.events().find(EventFilter(run_id=self.runs[run])))
        if found:
            self.commit(Take(self.runs[run], (found[0].number,)))

    @rule(run=picks, status=st.sampled_from(("waiting", "running", "succeeded")))
    def change(self, run: int, status: str) -> None:
        if self.both(lambda store: store.run(self.runs[run]).status) != "succeeded":
            self.commit(Change(self.runs[run], {"status": status, "wake_at": None}))

    @rule(back=picks)
    def forget(self, back: int) -> None:
        self.both(lambda store: store.events().forget(NOON + self.count - back))

    @rule(name=names, member=members, k=scalars, back=picks, limit=st.integers(1, 3))
    def look(self, name: str, member: str, k: Any, back: int, limit: int) -> None:
        wanted = digest(k) if member else ""
        which = EventFilter((name,), None, back, NOON + back, limit, False, member if wanted else "", wanted)
        self.both(lambda store: store.events().find(which))
        self.both(lambda store: store.events().find(EventFilter(everything=True, after=back)))
        self.both(lambda store: store.events().subscriptions(name=name))
        self.both(lambda store: [store.run(id).wake_at for id in self.runs])


TestTwoBoards = TwoBoards.TestCase
TestTwoBoards.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
