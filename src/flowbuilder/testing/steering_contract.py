"""What a store promises of orders for runs, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

import threading

from flowbuilder.storage.api import Accept, Append, Order
from flowbuilder.testing.store_under_test import Runs, StoreUnderTest, commit

PAUSE = Order(
    "pause", b"why", {"status": "paused", "wake_at": None}, b"paused", ("queued", "running", "waiting")
)


class SteeringContract(StoreUnderTest):
    """What a store promises of orders."""

    def test_an_order_is_told_to_a_living_owner_and_done_to_what_nobody_owns(self) -> None:
        woken = threading.Event()
        with self.opened() as store:
            runs = Runs()
            ours, free, asleep = (
                runs.row(),
                runs.row(owner=None, status="queued"),
                runs.row(owner=None, status="waiting", wake_at=runs.now + 60),
            )
            ended, paused = runs.row(status="failed"), runs.row(owner=None, status="paused")
            commit(store, *[Accept(row) for row in (ours, free, asleep, ended, paused)])
            commit(store, Append(asleep.id, 0, b"first"), Append(asleep.id, 1, b"second"))
            store.on_command(woken.set)

            named = [ours.id, free.id, asleep.id, ended.id, paused.id, "none such", ours.id]
            steered = store.steering().steer(named, PAUSE)

            assert steered.told == [ours.id]
            assert sorted(steered.written) == [free.id, asleep.id]
            assert steered.left == [ended.id, paused.id, "none such"]
            assert [(c.run_id, c.kind, c.payload) for c in store.receive()] == [(ours.id, "pause", b"why")]
            assert store.journal(free.id) == [b"paused"]
            assert store.journal(asleep.id) == [b"first", b"second", b"paused"]
            assert store.journal(ours.id) == store.journal(paused.id) == []
            for run_id in (free.id, asleep.id):
                row = store.run(run_id)
                assert row is not None
                assert (row.status, row.owner, row.wake_at) == ("paused", None, None)
            assert store.next_wake() is None
            assert woken.wait(20)

    def test_an_order_is_added_behind_a_first_batch_that_came_with_its_run(self) -> None:
        with self.opened() as store:
            row = Runs(owner=None).row()
            commit(store, Accept(row), Append(row.id, 0, b"first"))

            store.steering().steer([row.id], PAUSE)
            store.steering().steer([row.id], Order("resume", b"", {"status": "running"}, b"on", ("paused",)))

            assert store.journal(row.id) == [b"first", b"paused", b"on"]
            assert [taken.id for taken in store.take_over()] == [row.id]

    def test_an_order_without_records_changes_the_row_alone(self) -> None:
        with self.opened() as store:
            row = Runs(owner=None).row()
            commit(store, Accept(row))

            store.steering().steer([row.id], Order("priority", b"", {"priority": 7}))

            changed = store.run(row.id)
            assert changed is not None
            assert (changed.priority, changed.status, store.journal(row.id)) == (7, "running", [])

    def test_an_order_works_without_an_engine_and_after_the_owner_has_died(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row()
        commit(store, Accept(row))
        self.kill(store)
        with self.opened(self.beside(store), engine=None) as reader:
            assert reader.steering().steer([row.id], PAUSE).written == [row.id]
            changed = reader.run(row.id)
        assert changed is not None
        assert (changed.owner, changed.status, changed.crashes) == (None, "paused", 1)

    def test_what_is_paused_and_owned_by_nobody_is_left_alone(self) -> None:
        with self.opened() as store:
            row = Runs(owner=None).row(status="paused")
            commit(store, Accept(row))

            assert store.take_over() == []
            assert store.due(row.created_at + 1e9) == []
            claimed = store.claim(row.id)
            assert claimed is not None
            assert claimed.owner == "a"

    def test_runs_are_claimed_many_at_once_unless_somebody_alive_owns_them(self) -> None:
        with self.opened() as store, self.opened(self.beside(store), "b") as other:
            runs = Runs(owner=None)
            free, ours, ended = runs.row(), runs.row(owner="a"), runs.row(status="failed")
            commit(store, *[Accept(row) for row in (free, ours, ended)])

            claimed = other.steering().claim([free.id, ours.id, ended.id, "none such", free.id])

            assert [(row.id, row.owner) for row in claimed] == [(free.id, "b")]

    def test_many_runs_are_steered_at_once(self) -> None:
        with self.opened() as store:
            runs = Runs(owner=None)
            rows = [runs.row(status="waiting", wake_at=runs.now + 1) for _ in range(3000)]
            commit(store, *[Accept(row) for row in rows])

            steered = store.steering().steer([row.id for row in rows], PAUSE)

            assert len(steered.written) == 3000
            assert store.due(runs.now + 1e6) == []

    def test_runs_at_rest_whose_deadline_has_come_are_found_and_told_once(self) -> None:
        with self.opened() as store:
            runs = Runs(owner=None)
            now = runs.now + 1000
            paused = runs.row(status="paused", deadline_at=now - 1)
            queued = runs.row(status="queued", lane="l", owner="a", deadline_at=now - 2)
            held = runs.row(status="waiting", lane="h", wake_at=now + 9, deadline_at=now - 3)
            later = runs.row(status="paused", deadline_at=now + 5)
            others = [
                runs.row(status="running", owner="a", deadline_at=now - 4),
                runs.row(status="waiting", started_at=1.0, wake_at=now, deadline_at=now - 4),
                runs.row(status="failed", ended_at=now, deadline_at=now - 4),
                runs.row(status="paused"),
            ]
            commit(store, *[Accept(row) for row in (paused, queued, held, later, *others)])
            steering = store.steering()
            stop = Order("cancel", b"", {"status": "running", "deadline_at": None}, b"late", due=now)

            assert [row.id for row in steering.overdue(now)] == [held.id, queued.id, paused.id]
            assert [row.id for row in steering.overdue(now, 1)] == [held.id]
            assert steering.next_deadline() == now - 3
            ids = [paused.id, queued.id, held.id, later.id]
            steered = steering.steer(ids, stop)

            assert sorted(steered.written) == sorted([paused.id, queued.id, held.id])
            assert steered.left == [later.id]
            assert steering.steer(ids, stop).left == ids
            assert steering.overdue(now) == []
            assert steering.next_deadline() == now + 5
            for run_id, started_at in ((paused.id, None), (queued.id, now), (held.id, now)):
                row = store.run(run_id)
                assert row is not None
                assert (row.status, row.lane, row.owner, row.started_at) == (
                    "running",
                    None,
                    None,
                    started_at,
                )
                assert store.journal(run_id) == [b"late"]

    def test_the_owner_of_a_run_is_told_of_its_deadline_once(self) -> None:
        with self.opened() as store:
            runs = Runs()
            row = runs.row(status="paused", deadline_at=runs.now)
            commit(store, Accept(row))
            stop = Order("cancel", b"", {"deadline_at": None}, b"late", due=runs.now + 1)

            assert store.steering().steer([row.id], stop).told == [row.id]
            assert store.steering().steer([row.id], stop).left == [row.id]
            assert len(store.receive()) == 1

    def test_a_run_that_was_paused_in_its_queue_is_ended_or_resumed_in_the_store(self) -> None:
        with self.opened() as store:
            runs = Runs()
            ended, resumed = (runs.row(status="paused", lane="l") for _ in range(2))
            commit(store, Accept(ended), Accept(resumed))
            steering = store.steering()

            assert steering.steer([ended.id], Order("cancel", b"\x80", {})).ended == [ended.id]
            resume = Order("resume", b"\x80", {"status": "running"}, b"on", ("paused",))
            assert steering.steer([resumed.id], resume).written == [resumed.id]
            row = store.run(resumed.id)
            assert row is not None
            assert (row.status, row.owner) == ("running", None)
            assert store.receive() == []
