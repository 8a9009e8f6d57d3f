"""What a store promises of lanes, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.limits import ConcurrencyPolicy, DebouncePolicy
from flowbuilder.storage.api import Accept, Change, Order, RunFilter
from flowbuilder.storage.lanes import Enter, Hold, LaneState
from flowbuilder.testing.store_under_test import NOON, Runs, StoreUnderTest, commit

if TYPE_CHECKING:
    from typing import Any

    from flowbuilder.core.limits import WhenFull
    from flowbuilder.storage.api import RunRow, Store

LATER = NOON + 10_000


def wants(runs: Runs, limit: int = 1, when_full: WhenFull = "queue", lane: str = "l", **more: Any) -> Enter:
    """Return a new run that wants a place."""
    return Enter(runs.row(lane=lane, **more), ConcurrencyPolicy(limit, when_full))


def status(store: Store, row: RunRow) -> str:
    """Return how a run stands in the store."""
    found = store.run(row.id)
    assert found is not None
    return found.status


class LanesContract(StoreUnderTest):
    """What a store promises of lanes."""

    def test_as_many_runs_have_a_place_as_there_are_and_the_others_are_queued(self) -> None:
        runs = Runs()
        with self.opened() as store:
            entered = store.lanes().enter([wants(runs, 2) for _ in range(4)], LATER)

            assert [each.row.status for each in entered] == ["running", "running", "queued", "queued"]
            assert [each.row.owner for each in entered] == ["a", "a", None, None]
            assert [each.row.started_at for each in entered] == [LATER, LATER, None, None]
            assert store.lanes().count("l") == (2, 2)
            assert store.lanes().count("other") == (0, 0)
            assert [each.first.id for each in store.lanes().queued()] == [entered[2].row.id]
            assert store.lanes().states() == [LaneState("l", 2, 2, entered[2].row)]

    def test_a_place_is_taken_by_the_most_urgent_and_of_equals_by_the_oldest(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first, low, normal, late, high = [
                lanes.enter([wants(runs, priority=priority)], LATER)[0].row
                for priority in (50, 10, 50, 50, 90)
            ]
            order = []
            running = first
            for _ in range(4):
                assert lanes.take({"l": 1}, LATER, adopts=True) == []
                commit(store, Change(running.id, {"status": "succeeded", "ended_at": LATER, "owner": None}))
                (running,) = lanes.take({"l": 1}, LATER, adopts=True)
                order.append(running.id)
                assert (running.status, running.owner, running.started_at) == ("running", "a", LATER)

            assert order == [high.id, normal.id, late.id, low.id]
            assert lanes.take({"l": 1}, LATER, adopts=True) == []
            assert lanes.queued() == []

    def test_waiting_and_paused_runs_keep_their_place(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first, second = (each.row for each in lanes.enter([wants(runs), wants(runs)], LATER))
            for change in ({"status": "waiting", "wake_at": LATER, "owner": None}, {"status": "paused"}):
                commit(store, Change(first.id, change))
                assert lanes.take({"l": 1}, LATER, adopts=True) == []
            assert status(store, second) == "queued"

    def test_nobody_takes_over_claims_or_wakes_a_run_that_is_queued(self) -> None:
        runs = Runs()
        with self.opened() as store:
            first, second = (each.row for each in store.lanes().enter([wants(runs), wants(runs)], LATER))
            store.send(second.id, "cancel", values.encode({}))

            assert [row.id for row in store.take_over()] == []
            assert store.claim(second.id) is None
            assert store.receive() == []
            assert store.claim(first.id) is not None
            assert status(store, second) == "queued"

    def test_one_that_comes_too_late_is_ended_or_told_who_has_the_place(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first = lanes.enter([wants(runs)], LATER)[0].row
            refused = lanes.enter([wants(runs, when_full="cancel_new")], LATER)[0].row
            skipped = lanes.enter([wants(runs, when_full="skip")], LATER)[0].row

            assert refused.status == "cancelled"
            assert values.decode(refused.result or b"")["message"].startswith(f"run {first.id} has its place")
            assert store.run(refused.id) == refused
            assert skipped.id == first.id
            assert len(store.runs(RunFilter())) == 2

    def test_the_oldest_are_asked_to_make_room(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first, second = (each.row for each in lanes.enter([wants(runs, 2), wants(runs, 2)], LATER))
            third, fourth, fifth = (
                lanes.enter([wants(runs, 2, "cancel_running")], LATER)[0] for _ in range(3)
            )

            assert third.asked == ((first.id, "a"),)
            assert {run_id for run_id, _ in fourth.asked} == {first.id, second.id}
            assert [row.id for row in fifth.cancelled] == [third.row.id]
            assert [status(store, each.row) for each in (third, fourth, fifth)] == [
                "cancelled",
                "queued",
                "queued",
            ]
            assert {(command.run_id, command.kind) for command in store.receive()} == {
                (first.id, "cancel"),
                (second.id, "cancel"),
            }

    def test_a_key_gives_the_run_that_has_it(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first = lanes.enter([wants(runs, key="x")], LATER)[0].row
            queued = lanes.enter([wants(runs, key="y")], LATER)[0].row
            held = lanes.hold([Hold(runs.row(lane="h", key="z"), DebouncePolicy(10))], LATER)[0].row

            assert [lanes.enter([wants(runs, key=key)], LATER)[0].row.id for key in "xyz"] == [
                first.id,
                queued.id,
                held.id,
            ]
            again = lanes.hold([Hold(runs.row(lane="h", key="x"), DebouncePolicy(10))], LATER)[0]
            assert again.row.id == first.id
            assert status(store, held) == "waiting"

    def test_only_who_has_not_begun_is_cancelled(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first, second = (each.row for each in lanes.enter([wants(runs), wants(runs)], LATER))
            held = lanes.hold([Hold(runs.row(lane="h"), DebouncePolicy(10))], LATER)[0].row
            ended = [lanes.cancel(row.id, LATER, "why") for row in (first, second, held, second)]

            assert [None if row is None else row.status for row in ended] == [
                None,
                "cancelled",
                "cancelled",
                None,
            ]
            assert lanes.cancel("nobody", LATER, "") is None
            row = store.run(second.id)
            assert row is not None
            assert (row.ended_at, values.decode(row.result or b"")["message"]) == (LATER, "why")

    def test_a_held_start_takes_the_place_of_the_one_before_and_is_due_in_time(self) -> None:
        runs, policy = Runs(), DebouncePolicy(10, 25)
        with self.opened() as store:
            lanes = store.lanes()
            rows = [
                lanes.hold([Hold(runs.row(lane="h", about=values.encode({"x": 1})), policy)], LATER + 9 * n)[
                    0
                ]
                for n in range(3)
            ]
            last = rows[-1].row

            assert [[row.id for row in each.cancelled] for each in rows] == [
                [],
                [rows[0].row.id],
                [rows[1].row.id],
            ]
            assert [(each.row.wake_at or 0) - LATER for each in rows] == [10, 19, 25]
            assert values.decode(last.about or b"")["x"] == 1
            assert store.due(LATER + 24) == []
            assert [row.id for row in store.due(LATER + 25)] == [last.id]
            after = lanes.hold([Hold(runs.row(lane="h"), policy)], LATER + 25)[0]
            assert after.cancelled == ()
            assert (after.row.wake_at or 0) == LATER + 35

    def test_a_start_that_was_held_goes_on_to_a_lane(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes = store.lanes()
            first = lanes.enter([wants(runs)], LATER)[0].row
            lanes.hold([Hold(runs.row(lane="h"), DebouncePolicy(10))], LATER)
            (held,) = store.due(LATER + 10)
            row = msgspec.structs.replace(held, lane="l", owner="a")
            entered = lanes.enter([Enter(row, ConcurrencyPolicy(1), known=True)], LATER + 10)[0].row

            assert (entered.id, entered.status, status(store, held)) == (held.id, "queued", "queued")
            commit(store, Change(first.id, {"status": "failed", "owner": None}))
            (taken,) = lanes.take({"l": 1}, LATER + 11, adopts=True)
            assert (taken.id, taken.started_at, taken.wake_at) == (held.id, LATER + 11, None)

    def test_what_a_living_engine_keeps_for_itself_nobody_else_begins(self) -> None:
        store = self.make()
        runs, mine, theirs = Runs("a"), Runs("a", 2), Runs("b", 3)
        with self.opened(store, "a"), self.opened(self.beside(store), "b") as other:
            first = store.lanes().enter([wants(runs)], LATER)[0].row
            own = msgspec.structs.replace(wants(mine), owned=True)
            b_own = msgspec.structs.replace(wants(theirs, priority=90), owned=True)
            a_row = store.lanes().enter([own], LATER)[0].row
            b_row = other.lanes().enter([b_own], LATER)[0].row
            commit(store, Change(first.id, {"status": "succeeded", "owner": None}))

            assert store.lanes().take({"l": 1}, LATER, adopts=True) == [], "the place is b's"
            assert [row.id for row in other.lanes().take({"l": 1}, LATER, adopts=False)] == [b_row.id]
            commit(store, Change(b_row.id, {"status": "succeeded", "owner": None}))
            assert [row.id for row in store.lanes().take({"l": 1}, LATER, adopts=False)] == [a_row.id]

    def test_what_a_dead_engine_kept_for_itself_is_adopted(self) -> None:
        store = self.make()
        runs, theirs = Runs("a"), Runs("b", 3)
        with self.opened(store, "a"):
            other = self.beside(store)
            other.open("b")
            first = store.lanes().enter([wants(runs)], LATER)[0].row
            row = other.lanes().enter([msgspec.structs.replace(wants(theirs), owned=True)], LATER)[0].row
            assert row.owner == "b"
            self.kill(other)
            commit(store, Change(first.id, {"status": "succeeded", "owner": None}))

            assert store.lanes().take({"l": 1}, LATER, adopts=False) == []
            assert [each.id for each in store.lanes().take({"l": 1}, LATER, adopts=True)] == [row.id]

    def test_what_dead_engines_left_stands_in_nobodys_way_however_much_it_is(self) -> None:
        with self.opened() as store:
            runs, mine = Runs("dead"), Runs("a", 2)
            left = [runs.row(status="queued", lane="l", priority=90) for _ in range(1200)]
            own = mine.row(status="queued", lane="l")
            commit(store, *[Accept(row) for row in (*left, own)])

            assert [row.id for row in store.lanes().take({"l": 1}, LATER, adopts=False)] == [own.id]

    def test_lanes_are_listed_page_by_page(self) -> None:
        with self.opened() as store:
            runs = Runs("dead")
            commit(store, *[Accept(runs.row(status="queued", lane=f"l{n:02}")) for n in range(25)])
            pages, after = [], ""
            while page := store.lanes().queued(10, after):
                pages.append(len(page))
                after = page[-1].lane
            assert pages == [10, 10, 5]

    def test_a_run_that_has_begun_elsewhere_asks_for_a_place_and_keeps_its_beginning(self) -> None:
        with self.opened() as store:
            runs, lanes = Runs("a"), store.lanes()
            first = lanes.enter([wants(runs)], LATER)[0].row
            begun = runs.row(status="paused", owner=None, started_at=5.0)
            commit(store, Accept(begun))
            again = msgspec.structs.replace(begun, lane="l", owner="a")
            entry = Enter(again, ConcurrencyPolicy(1, "skip"), known=True)

            queued = lanes.enter([entry], LATER)[0].row
            assert (queued.id, queued.status, queued.started_at) == (begun.id, "queued", 5.0)
            assert lanes.count("l") == (1, 1)
            pause = Order("pause", b"\x80", {"status": "paused"})
            assert store.steering().steer([begun.id], pause).written == [begun.id]
            paused = store.run(begun.id)
            assert paused is not None
            assert (paused.lane, paused.started_at, lanes.count("l")) == (None, 5.0, (1, 0))
            lanes.enter([entry], LATER)
            commit(store, Change(first.id, {"status": "succeeded", "owner": None}))
            (taken,) = lanes.take({"l": 1}, LATER, adopts=True)
            assert (taken.id, taken.started_at) == (begun.id, 5.0)

    def test_places_are_never_given_twice_however_many_ask_at_once(self) -> None:
        store = self.make()
        entered: list[RunRow] = []
        with self.opened(store, "a"), self.opened(self.beside(store), "b") as other:

            def come(of: Store, engine: str, unique: int) -> None:
                runs = Runs(engine, unique)
                entered.extend(of.lanes().enter([wants(runs, 3)], LATER)[0].row for _ in range(10))

            threads = [
                threading.Thread(target=come, args=(of, engine, unique))
                for unique, (of, engine) in enumerate(
                    [(store, "a"), (other, "b"), (store, "a"), (other, "b")]
                )
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert len(entered) == 40
            assert sum(row.status == "running" for row in entered) == 3
            assert store.lanes().count("l") == (3, 37)

    def test_orders_for_runs_that_have_not_begun_are_carried_out_at_once(self) -> None:
        runs = Runs()
        with self.opened() as store:
            lanes, steering = store.lanes(), store.steering()
            first, low, high = (
                lanes.enter([wants(runs, priority=priority)], LATER)[0].row for priority in (50, 40, 60)
            )
            held = lanes.hold([Hold(runs.row(lane="h"), DebouncePolicy(10))], LATER)[0].row

            raised = steering.steer([low.id], Order("priority", b"\x80", {"priority": 90}))
            asked = records.CancelAsked(LATER + 5, "why")
            order = Order(
                "cancel", values.encode({"reason": "why"}), {"status": "running"}, records.encode([asked])
            )
            ended = steering.steer([high.id, held.id], order)

            assert (raised.written, raised.told) == ([low.id], [])
            assert sorted(ended.ended) == sorted([high.id, held.id])
            row = store.run(high.id)
            assert row is not None
            assert (row.status, row.ended_at) == ("cancelled", LATER + 5)
            assert values.decode(row.result or b"")["message"] == "why"
            assert [each.first.priority for each in lanes.queued()] == [90]
            assert lanes.count("l") == (1, 1)
            assert store.receive() == []
            assert status(store, first) == "running"
