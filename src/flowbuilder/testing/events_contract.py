"""What a store promises of events, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder.core import values
from flowbuilder.core.errors import NotFound, RunEnded
from flowbuilder.core.matching import digest, write_path
from flowbuilder.storage.api import Accept, Change
from flowbuilder.storage.events import Emit, Event, EventFilter, Subscribe, Subscription, Take, Unsubscribe
from flowbuilder.testing.store_under_test import NOON, PATIENCE, Runs, StoreUnderTest, commit, ids_of

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store


def event(id: str, name: str = "paid", payload: Any = None, *, at: float = NOON, **more: Any) -> Event:
    """Return an event for tests."""
    return Event(id, name, values.encode(payload), at, **more)


def waiter(run_id: str, name: str = "paid", order: Any = None, **more: Any) -> Subscription:
    """Return a subscription for tests; with `order`, to events whose payload has that order."""
    if order is not None:
        more |= {"member": write_path(["payload", "order"]), "digest": digest(order)}
    return Subscription(run_id, more.pop("path", "hold"), name, **more)


def is_due(store: Store, run_id: str) -> bool:
    """Tell whether a run that waits in the store is due at once; makes it wait again."""
    row = store.run(run_id)
    assert row is not None
    if row.wake_at != 0.0:
        return False
    commit(store, Change(run_id, {"wake_at": None}))
    return True


class EventsContract(StoreUnderTest):
    """What a store promises of events."""

    def _waiting(self, store: Store, *subscriptions: Any, **more: Any) -> str:
        """Return a run that waits in the store."""
        row = self.runs.row(status="waiting", owner=None, **more)
        asked = [Subscribe(make(row.id)) for make in subscriptions]
        commit(store, Accept(row), *asked)
        return row.id

    @pytest.fixture(autouse=True)
    def _runs(self) -> None:
        self.runs = Runs()

    def test_events_are_listed_by_name_number_and_time_in_the_order_they_came(self) -> None:
        with self.opened() as store:
            events = store.events()
            assert events.last() == 0
            numbers = [
                events.emit(event("1", "a", {"x": [1]}, source="me")),
                events.emit(event("2", "b", at=NOON + 5)),
                events.emit(event("3", "a", at=NOON + 9)),
            ]

            assert numbers == sorted(numbers)
            assert events.last() == numbers[2]
            found = events.find(EventFilter())
            assert [(each.id, each.number) for each in found] == list(zip("123", numbers, strict=True))
            assert (values.decode(found[0].payload), found[0].source) == ({"x": [1]}, "me")
            assert [each.id for each in events.find(EventFilter(names=("a",)))] == ["1", "3"]
            assert [each.id for each in events.find(EventFilter(after=numbers[0]))] == ["2", "3"]
            assert [each.id for each in events.find(EventFilter(since=NOON + 5))] == ["2", "3"]
            assert [each.id for each in events.find(EventFilter(limit=2))] == ["1", "2"]
            assert events.find(EventFilter(names=("c",))) == []

    def test_of_what_is_asked_for_and_given_up_in_one_group_the_last_word_holds(self) -> None:
        with self.opened() as store:
            id = self._waiting(store)
            first, again = Subscribe(waiter(id, path="a")), Subscribe(waiter(id, path="b", after=7))
            commit(
                store,
                first,
                Unsubscribe(id, "a"),
                Subscribe(waiter(id, path="b")),
                Unsubscribe(id, "b"),
                again,
            )

            assert [(each.path, each.after) for each in store.events().subscriptions()] == [("b", 7)]

    def test_an_id_is_emitted_once(self) -> None:
        with self.opened() as store:
            first = store.events().emit(event("same", payload=1))
            again = store.events().emit(event("same", payload=2))
            commit(store, Emit(event("same", payload=3)), Emit(event("other")), Emit(event("other")))

            assert again == first
            found = store.events().find(EventFilter())
            assert [(each.id, values.decode(each.payload)) for each in found] == [
                ("same", 1),
                ("other", None),
            ]

    def test_what_was_emitted_outlives_the_process(self) -> None:
        store = self.make()
        with self.opened(store) as opened:
            opened.events().emit(event("1"))
        with self.opened(self.beside(store), None) as other:
            assert [each.id for each in other.events().find(EventFilter())] == ["1"]
            assert other.events().emit(event("2")) == other.events().last()

    def test_an_event_makes_those_due_that_wait_for_its_values(self) -> None:
        with self.opened() as store:
            one = self._waiting(store, lambda id: waiter(id, order="A"))
            two = self._waiting(store, lambda id: waiter(id, order="B"))
            number = self._waiting(store, lambda id: waiter(id, order=7))
            any_ = self._waiting(store, waiter)
            other = self._waiting(store, lambda id: waiter(id, "shipped"))
            everyone = (one, two, number, any_, other)

            def due_after(each: Event) -> list[str]:
                store.events().emit(each)
                return [run_id for run_id in everyone if is_due(store, run_id)]

            assert due_after(event("1", payload={"order": "A"})) == [one, any_]
            assert due_after(event("2", payload={"order": 7.0})) == [number, any_]
            assert due_after(event("3", payload={"order": ["A"]})) == [any_]
            assert due_after(event("4", payload={})) == [any_]
            assert due_after(event("5", payload=None)) == [any_]
            assert due_after(event("6", "shipped")) == [other]
            assert due_after(event("7", "lost")) == []

    def test_events_are_found_by_a_value_whether_anybody_had_asked_for_it_or_not(self) -> None:
        with self.opened() as store:
            events = store.events()
            path = write_path(["payload", "order"])
            for n in range(6):
                if n == 3:
                    self._waiting(store, lambda id: waiter(id, order="Z"))
                events.emit(event(str(n), payload={"order": "AB"[n % 2]}, at=NOON + n))
                events.emit(event(f"other {n}", "shipped", {"order": "A"}))
            events.emit(event("none", payload=[1]))

            def found(**more: Any) -> list[str]:
                which = EventFilter(names=("paid",), member=path, digest=digest("A"), **more)
                return [each.id for each in events.find(which)]

            assert found() == ["0", "2", "4"]
            assert found(since=NOON + 1) == ["2", "4"]
            assert found(limit=2) == ["0", "2"]
            assert found(limit=1, since=NOON + 3) == ["4"]
            number = events.find(EventFilter(names=("paid",)))[2].number
            assert found(after=number) == ["4"]
            assert events.find(EventFilter(names=("paid",), member=path, digest=digest("C"))) == []
            events.forget(NOON + 3)
            assert found() == ["4"]

    def test_due_runs_are_claimed_by_one_engine(self) -> None:
        store = self.make()
        with self.opened(store, "a"), self.opened(self.beside(store), "b") as other:
            run_id = self._waiting(store, waiter)
            assert store.due(NOON) == []

            other.events().emit(event("1"))

            assert ids_of(store.due(NOON)) | ids_of(other.due(NOON)) == {run_id}
            assert other.due(NOON) == []

    def test_a_subscription_that_comes_behind_its_event_makes_its_run_due(self) -> None:
        with self.opened() as store:
            first = store.events().emit(event("1", payload={"order": "A"}))
            assert is_due(store, self._waiting(store, waiter))
            assert is_due(store, self._waiting(store, lambda id: waiter(id, order="A")))
            assert not is_due(store, self._waiting(store, lambda id: waiter(id, order="B")))
            assert not is_due(store, self._waiting(store, lambda id: waiter(id, after=first)))
            row = self.runs.row(status="waiting", owner=None)
            commit(store, Accept(row), Subscribe(waiter(row.id, after=first)), Emit(event("2")))
            assert is_due(store, row.id)

    def test_a_run_that_somebody_owns_is_not_touched(self) -> None:
        with self.opened() as store:
            row = self.runs.row(status="waiting", owner="a")
            commit(store, Accept(row), Subscribe(waiter(row.id)))

            store.events().emit(event("1"))

            assert not is_due(store, row.id)
            commit(store, Change(row.id, {"owner": None}), Subscribe(waiter(row.id)))
            assert is_due(store, row.id)

    def test_who_waits_no_longer_is_not_made_due(self) -> None:
        with self.opened() as store:
            run_id = self._waiting(store, waiter, lambda id: waiter(id, "shipped", path="later"))
            assert [each.path for each in store.events().subscriptions(run_id=run_id)] == ["hold", "later"]
            commit(store, Unsubscribe(run_id, "hold"), Unsubscribe(run_id, "never"))

            store.events().emit(event("1"))
            assert not is_due(store, run_id)
            store.events().emit(event("2", "shipped"))
            assert is_due(store, run_id)
            assert [each.path for each in store.events().subscriptions(name="shipped")] == ["later"]
            assert store.events().subscriptions(name="paid") == []

    def test_a_signal_reaches_its_run_and_no_other(self) -> None:
        with self.opened() as store:
            one = self._waiting(store, lambda id: waiter(id, "go", signal=True))
            two = self._waiting(store, lambda id: waiter(id, "go", signal=True))
            listening = self._waiting(store, lambda id: waiter(id, "go"))

            store.events().emit(event("1", "go", run_id=one))

            assert [is_due(store, run_id) for run_id in (one, two, listening)] == [True, False, False]
            assert [each.id for each in store.events().find(EventFilter(run_id=one))] == ["1"]
            assert store.events().find(EventFilter(run_id=two)) == []
            assert store.events().find(EventFilter()) == []

    def test_a_signal_is_there_until_it_is_taken(self) -> None:
        with self.opened() as store:
            run_id = self._waiting(store)
            numbers = [store.events().emit(event(str(n), "go", n, run_id=run_id)) for n in range(3)]
            commit(store, Take(run_id, (numbers[0], numbers[2])), Take("another", (numbers[1],)))

            left = store.events().find(EventFilter(run_id=run_id))
            assert [(each.id, values.decode(each.payload)) for each in left] == [("1", 1)]
            assert store.events().emit(event("0", "go", run_id=run_id)) == numbers[0]
            assert len(store.events().find(EventFilter(run_id=run_id))) == 1
            commit(store, Subscribe(waiter(run_id, "go", signal=True, after=numbers[1])))
            assert not is_due(store, run_id)

    def test_a_signal_to_a_run_that_is_none_or_has_ended_is_refused(self) -> None:
        with self.opened() as store:
            ended = self.runs.row(status="succeeded")
            commit(store, Accept(ended))
            with pytest.raises(NotFound):
                store.events().emit(event("1", run_id="none"))
            with pytest.raises(RunEnded, match="has ended"):
                store.events().emit(event("2", run_id=ended.id))
            commit(store, Emit(event("3", run_id=ended.id)), Emit(event("4", run_id="none")))
            assert store.events().last() == 0

    def test_what_belongs_to_a_run_goes_with_it(self) -> None:
        with self.opened() as store:
            run_id = self._waiting(store, waiter)
            store.events().emit(event("1", "go", run_id=run_id))
            commit(store, Change(run_id, {"status": "cancelled", "ended_at": NOON}))
            store.delete_runs([run_id])
            assert store.events().subscriptions() == []
            assert store.events().find(EventFilter(run_id=run_id)) == []

    def test_old_events_are_forgotten_but_not_those_that_a_run_was_woken_for(self) -> None:
        with self.opened() as store:
            run_id = self._waiting(store, lambda id: waiter(id, "slow"))
            signalled = self._waiting(store)
            store.events().emit(event("1", "fast", at=NOON))
            woken_for = store.events().emit(event("2", "slow", at=NOON))
            store.events().emit(event("3", "fast", at=NOON + 10))
            taken = store.events().emit(event("4", "go", run_id=signalled, at=NOON))
            store.events().emit(event("5", "go", run_id=signalled, at=NOON))
            commit(store, Take(signalled, (taken,)))

            assert store.events().forget(NOON + 5, limit=1) == 1
            assert store.events().forget(NOON + 5) == 1
            assert store.events().forget(NOON + 5) == 0
            assert [each.id for each in store.events().find(EventFilter())] == ["2", "3"]
            assert [each.id for each in store.events().find(EventFilter(run_id=signalled))] == ["5"]

            commit(store, Subscribe(waiter(run_id, "slow", after=woken_for)))
            assert store.events().forget(NOON + 5) == 1
            assert store.events().emit(event("6", at=NOON)) > woken_for

    def test_all_engines_are_rung_for_an_event(self) -> None:
        store = self.make()
        with self.opened(store, "a"), self.opened(self.beside(store), "b") as other:
            rung = {name: threading.Event() for name in "abc"}
            store.on_command(rung["a"].set)
            other.on_command(rung["b"].set)
            with self.opened(self.beside(store), None) as reader:
                reader.events().emit(event("1"))
            assert rung["a"].wait(PATIENCE)
            assert rung["b"].wait(PATIENCE)
            rung["b"].clear()
            commit(store, Emit(event("2")))
            assert rung["b"].wait(PATIENCE)

    def test_of_many_who_emit_one_id_at_once_one_emits(self) -> None:
        store = self.make()
        with self.opened(store, "a"), self.opened(self.beside(store), "b") as other:
            numbers: list[int] = []

            def emit(through: Store) -> None:
                numbers.extend(through.events().emit(event(str(n % 5))) for n in range(20))

            threads = [threading.Thread(target=emit, args=(each,)) for each in (store, other, store, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(numbers) == 80
            assert len(set(numbers)) == 5
            assert len(store.events().find(EventFilter())) == 5
