"""What a store promises of liveness, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

from flowbuilder.storage.api import Accept, Change
from flowbuilder.storage.events import Subscribe, Subscription
from flowbuilder.testing.store_under_test import NOON, Runs, StoreUnderTest, commit


class LivenessContract(StoreUnderTest):
    """What a store promises of liveness."""

    def test_every_live_run_is_told_with_what_it_owns(self) -> None:
        store = self.make()
        dead = self.beside(store)
        with self.opened(dead, "dead"):
            left = Runs(owner="dead", unique=2).row()
            commit(dead, Accept(left))
            self.kill(dead)
        with self.opened(store, "a"):
            runs = Runs(owner=None)
            rows = {
                "engine": runs.row(owner="a"),
                "ready": runs.row(),
                "pause": runs.row(status="paused"),
                "queue": runs.row(status="queued"),
                "timer": runs.row(status="waiting", wake_at=NOON + 1e9),
                "subscription": runs.row(status="waiting"),
                "child": runs.row(status="waiting"),
                "nothing": runs.row(status="waiting"),
            }
            parent = rows["child"].id
            child, ended = (
                runs.row(status="paused", parent=parent),
                runs.row(status="succeeded", parent=parent),
            )
            commit(
                store,
                *[Accept(row) for row in (*rows.values(), child, ended)],
                Subscribe(Subscription(rows["subscription"].id, "wait", "paid")),
            )
            liveness = store.liveness()

            found = {hold.run_id: hold.holds for hold in liveness.holds()}
            assert found == {
                left.id: "recovery",
                child.id: "pause",
                **{row.id: holding for holding, row in rows.items()},
            }
            assert liveness.counts() == {"recovery": 1, **dict.fromkeys(rows, 1), "pause": 2}
            assert [(hold.run_id, hold.status) for hold in liveness.stuck()] == [
                (rows["nothing"].id, "waiting")
            ]

    def test_a_run_that_owns_nothing_is_made_due(self) -> None:
        with self.opened() as store:
            runs = Runs(owner=None)
            stuck, asleep, mine = (
                runs.row(status="waiting"),
                runs.row(status="waiting", wake_at=NOON + 1e9),
                runs.row(owner="a"),
            )
            commit(store, Accept(stuck), Accept(asleep), Accept(mine))

            assert store.liveness().revive([stuck.id, asleep.id, mine.id, "none"]) == 1
            assert store.liveness().stuck() == []
            assert [row.id for row in store.due(NOON)] == [stuck.id]

    def test_runs_are_told_page_by_page(self) -> None:
        with self.opened() as store:
            runs = Runs()
            rows = [runs.row() for _ in range(5)]
            commit(store, *map(Accept, rows))
            liveness = store.liveness()

            first = liveness.holds(limit=2)
            rest = liveness.holds(after=first[-1].run_id)

            assert [hold.run_id for hold in first + rest] == [row.id for row in rows]

    def test_rows_of_runs_that_have_ended_are_leaks(self) -> None:
        with self.opened() as store:
            runs = Runs(owner=None)
            row = runs.row(status="waiting", wake_at=NOON + 1e9)
            commit(store, Accept(row), Subscribe(Subscription(row.id, "wait", "paid")))
            store.send(row.id, "cancel", b"")
            assert store.liveness().leaks() == {}

            commit(store, Change(row.id, {"status": "succeeded", "wake_at": None}))

            assert store.liveness().leaks() == {"subscriptions": 1, "commands": 1}
