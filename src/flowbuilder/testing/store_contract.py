"""Every promise of `storage.api`, as tests.  A store passes by subclassing.

```python
class TestMyStore(StoreContract):
    def make(self) -> Store: ...
    def beside(self, store: Store) -> Store: ...
    def kill(self, store: Store) -> None: ...
```

What only some stores can show (a full disk, a file that is damaged) is not
here; the fault tests of each store have it.
"""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flowbuilder.core import values
from flowbuilder.core.errors import NotFound, StoreCorrupt, StoreError
from flowbuilder.core.records import Ended, encode
from flowbuilder.core.rules import SUCCEEDED
from flowbuilder.storage.api import (
    LOG_BYTES,
    Accept,
    Append,
    Change,
    KeyTaken,
    Log,
    RunFilter,
    RunRow,
    Statistic,
)
from flowbuilder.storage.events import Event
from flowbuilder.testing.compacting_contract import CompactingContract
from flowbuilder.testing.events_contract import EventsContract
from flowbuilder.testing.facts_contract import FactsContract
from flowbuilder.testing.labels_contract import LabelsContract
from flowbuilder.testing.lanes_contract import LanesContract
from flowbuilder.testing.liveness_contract import LivenessContract
from flowbuilder.testing.steering_contract import SteeringContract
from flowbuilder.testing.store_under_test import NOON, PATIENCE, Runs, Waiting, commit, ids_of

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store, Write


class StoreContract(
    FactsContract,
    EventsContract,
    LabelsContract,
    LanesContract,
    LivenessContract,
    CompactingContract,
    SteeringContract,
):
    """What every store promises."""

    # -- writing and reading back -------------------------------------------------

    def test_a_run_comes_back_as_it_was_accepted(self) -> None:
        with self.opened() as store:
            row = Runs().row(key="k", priority=7, parent="p", labels={"team": "x"}, started_at=NOON)

            assert commit(store, Accept(row)) is None

            assert store.run(row.id) == row
            assert store.run_by_key("orders", "k") == row
            assert store.runs(RunFilter()) == [row]

    def test_a_run_is_found_by_a_prefix_that_no_other_run_shares(self) -> None:
        with self.opened() as store:
            runs = Runs()
            one, two = runs.row(), runs.row()
            commit(store, Accept(one), Accept(two))

            assert store.run(two.id[:10]) == two
            assert store.run(one.id[:5]) is None
            assert store.run("zzz") is None
            assert store.run("") is None

    def test_batches_come_back_in_the_order_of_their_sequence(self) -> None:
        with self.opened() as store:
            runs = Runs()
            whole, late = runs.row(), runs.row()

            commit(store, Accept(whole), Append(whole.id, 0, b"zero"), Append(whole.id, 1, b"one"))
            commit(store, Append(whole.id, 2, b"two"), Accept(late))
            commit(store, Append(late.id, 0, b"first"))

            assert store.journal(whole.id) == [b"zero", b"one", b"two"]
            assert store.journal(late.id) == [b"first"]
            assert store.journal("none") == []

    def test_many_writes_of_one_group_are_all_kept(self) -> None:
        with self.opened() as store:
            runs = Runs()
            rows = [runs.row() for _ in range(1_237)]
            writes: list[Any] = []
            for number, row in enumerate(rows):
                writes += [
                    Accept(row),
                    Append(row.id, 0, b"%d" % number),
                    Append(row.id, 1, b"more"),
                    Change(row.id, {"status": "succeeded", "result": b"%d" % number}),
                ]

            assert commit(store, *writes) is None

            assert ids_of(store.runs(RunFilter(status=("succeeded",), limit=10_000))) == ids_of(rows)
            for number in (0, 399, 400, 1_236):
                assert store.journal(rows[number].id) == [b"%d" % number, b"more"]

    def test_changes_reach_the_row_and_the_last_one_wins(self) -> None:
        with self.opened() as store:
            row = Runs().row()
            commit(store, Accept(row))

            commit(
                store,
                Change(row.id, {"status": "paused", "crashes": 2}),
                Change(row.id, {"status": "succeeded", "ended_at": NOON, "labels": {"a": "b"}}),
            )

            found = store.run(row.id)
            assert found is not None
            assert (found.status, found.crashes, found.ended_at) == ("succeeded", 2, NOON)
            assert found.labels == {"a": "b"}

    def test_a_change_of_a_run_that_is_not_there_changes_nothing(self) -> None:
        with self.opened() as store:
            assert commit(store, Change("nobody", {"status": "paused"})) is None
            assert store.runs(RunFilter()) == []

    def test_every_waiter_is_called_once_and_in_order(self) -> None:
        with self.opened() as store:
            called: list[int] = []
            for number in range(50):
                store.when_durable(lambda error, number=number: called.append(number))  # type: ignore[misc]

            assert commit(store) is None

            assert called == list(range(50))

    @pytest.mark.parametrize("alone", [False, True])
    def test_what_is_handed_over_is_kept_with_what_was_submitted_before(self, alone: bool) -> None:
        runs = Runs()
        with self.opened() as store:
            for _ in range(5):  # a store may do the first otherwise than those that follow
                before, row, done = runs.row(), runs.row(), Waiting()
                store.submit(Accept(before))
                writes: list[Write] = [
                    Accept(row),
                    Append(row.id, 0, b"a"),
                    Change(row.id, {"status": "failed"}),
                ]
                store.hand_over(writes, done, alone=alone)

                assert done.outcome() is None
                assert store.run(before.id) is not None
                assert store.journal(row.id) == [b"a"]
                found = store.run(row.id)
                assert found is not None
                assert found.status == "failed"

    @pytest.mark.parametrize("alone", [False, True])
    def test_a_key_that_is_taken_is_told_to_whoever_hands_over(self, alone: bool) -> None:
        runs = Runs()
        with self.opened() as store:
            first, second, done = runs.row(key="k"), runs.row(key="k"), Waiting()
            commit(store, Accept(first))
            store.hand_over([Accept(second)], done, alone=alone)

            error = done.outcome()
            assert isinstance(error, KeyTaken)
            assert error.taken == {second.id: first.id}

    def test_what_nobody_waited_for_is_kept_by_close(self) -> None:
        store = self.make()
        row = Runs().row()
        with self.opened(store):
            store.submit(Accept(row))
            store.submit(Append(row.id, 0, b"zero"))

        with self.opened(self.beside(store), engine=None) as reader:
            assert reader.run(row.id) == row
            assert reader.journal(row.id) == [b"zero"]

    def test_what_was_acknowledged_outlives_a_killed_process(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row()
        commit(store, Accept(row), Append(row.id, 0, b"zero"))
        self.kill(store)

        with self.opened(self.beside(store), engine="b") as other:
            assert other.run(row.id) == row
            assert other.journal(row.id) == [b"zero"]

    def test_nothing_is_lost_where_nothing_failed(self) -> None:
        with self.opened() as store:
            commit(store, Accept(Runs().row()))

            assert store.lost() == frozenset()

    def test_a_version_of_a_flow_is_kept_once(self) -> None:
        with self.opened() as store:
            store.put_flow("h", "orders", b"first")
            store.put_flow("h", "orders", b"second")

            assert store.flow("h") == b"first"
            assert store.flow("other") is None

    # -- keys ------------------------------------------------------------------------

    def test_a_key_is_taken_once_within_a_flow(self) -> None:
        with self.opened() as store:
            runs = Runs()
            first, again, elsewhere = (runs.row(flow, key="k") for flow in ("orders", "orders", "bills"))
            commit(store, Accept(first))

            error = commit(store, Accept(again), Append(again.id, 0, b"ran ahead"), Accept(elsewhere))

            assert isinstance(error, KeyTaken)
            assert error.taken == {again.id: first.id}
            assert store.run(again.id) is None
            assert store.journal(again.id) == []
            assert store.run(elsewhere.id) == elsewhere
            assert store.run_by_key("orders", "k") == first

    def test_of_two_runs_with_one_key_in_one_group_the_first_is_accepted(self) -> None:
        with self.opened() as store:
            runs = Runs()
            first, again, other = runs.row(key="k"), runs.row(key="k"), runs.row()
            told = [Waiting(), Waiting(), Waiting()]
            for row, done in zip((first, again, other), told, strict=True):
                store.submit(Accept(row))
                store.when_durable(done)

            outcomes = [done.outcome() for done in told]

            assert outcomes[0] is None
            assert isinstance(outcomes[1], KeyTaken)
            assert outcomes[1].taken == {again.id: first.id}
            assert outcomes[2] is None

    def test_what_is_submitted_for_a_refused_run_later_is_dropped_too(self) -> None:
        with self.opened() as store:
            runs = Runs()
            first, again = runs.row(key="k"), runs.row(key="k")
            commit(store, Accept(first), Accept(again))

            assert commit(store, Append(again.id, 0, b"late"), Append(first.id, 0, b"mine")) is None

            assert store.journal(again.id) == []
            assert store.journal(first.id) == [b"mine"]

    # -- lists -------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            (RunFilter(), "543210"),
            (RunFilter(limit=2), "54"),
            (RunFilter(flow="bills"), "41"),
            (RunFilter(status=("succeeded",)), "420"),
            (RunFilter(status=("failed", "waiting")), "531"),
            (RunFilter(status=("failed", "waiting"), limit=2), "53"),
            (RunFilter(flow="orders", status=("failed",)), "3"),
            (RunFilter(parent="p"), "52"),
            (RunFilter(since=NOON + 3), "5432"),
            (RunFilter(until=NOON + 3), "10"),
            (RunFilter(since=NOON + 2, until=NOON + 5, status=("succeeded",)), "2"),
            (RunFilter(flow="none"), ""),
        ],
    )
    def test_runs_are_listed_newest_first(self, which: RunFilter, expected: str) -> None:
        with self.opened() as store:
            rows = self._six_runs(store)

            found = store.runs(which)

            assert "".join(str(rows.index(row)) for row in found) == expected

    def test_a_list_goes_on_behind_a_run(self) -> None:
        with self.opened() as store:
            rows = self._six_runs(store)

            assert store.runs(RunFilter(before=rows[3].id, limit=2)) == [rows[2], rows[1]]

    def _six_runs(self, store: Store) -> list[RunRow]:
        runs = Runs()
        rows = [
            runs.row("orders", "succeeded"),
            runs.row("bills", "failed"),
            runs.row("orders", "succeeded", parent="p"),
            runs.row("orders", "failed"),
            runs.row("bills", "succeeded"),
            runs.row("orders", "waiting", parent="p"),
        ]
        commit(store, *map(Accept, rows))
        return rows

    # -- logs and statistics ---------------------------------------------------------------

    def test_log_lines_come_back_in_order_from_where_one_left_off(self) -> None:
        with self.opened() as store:
            lines = [Log("r", task, NOON, "info", f"line {n}", b"x") for n, task in enumerate("abab")]
            commit(store, *lines, Log("other", "a", NOON, "info", "not ours"))

            found = store.logs("r")

            assert [line for _, line in found] == lines
            assert [line.message for _, line in store.logs("r", "b")] == ["line 1", "line 3"]
            assert store.logs("r", after=found[1][0]) == found[2:]
            assert store.logs("none") == []

    def test_a_long_log_loses_its_oldest_lines_and_says_so(self) -> None:
        with self.opened() as store:
            text = "x" * 500_000
            commit(store, Log("r", "other", NOON, "info", "kept"))
            for start in range(0, 30, 10):
                commit(
                    store, *(Log("r", "t", NOON + n, "info", f"{n} {text}") for n in range(start, start + 10))
                )

            found = store.logs("r", "t")

            notice, kept = found[0][1], [line for _, line in found[1:]]
            assert notice.level == "warning"
            assert f"{30 - len(kept)} earlier lines were dropped" in notice.message
            assert [int(line.message.split()[0]) for line in kept] == list(range(30 - len(kept), 30))
            assert 8_000_000 < sum(len(line.message) for line in kept) <= LOG_BYTES
            assert [line.message for _, line in store.logs("r", "other")] == ["kept"]
            assert store.logs("r", "t", after=found[0][0]) == found[1:]

    def test_statistics_count_and_estimate(self) -> None:
        store = self.make()
        with self.opened(store):
            for start in (0, 50):
                commit(
                    store,
                    *(Statistic("f", "t", (start + n) / 100, 1000, n % 10 == 0, 2) for n in range(1, 51)),
                )
            commit(store, Statistic("f", "u", 0.5, 7, False), Statistic("g", "t", 9.0, 7, False))

        with self.opened(self.beside(store), engine=None) as reader:
            found = reader.statistics("f")

            assert set(found) == {"t", "u"}
            task = found["t"]
            assert (task.executions, task.failures) == (100, 10)
            assert task.duration_p50 == pytest.approx(0.5, rel=0.1)
            assert task.duration_p95 == pytest.approx(0.95, rel=0.1)
            assert (task.output_bytes, task.items) == (1000, 2)
            assert reader.statistics("none") == {}

    def test_the_epoch_changes_with_the_magnitude_of_statistics_only(self) -> None:
        with self.opened() as store:
            before = store.statistics_epoch("f")
            commit(store, *(Statistic("f", "t", 0.1, 10, False) for _ in range(10)))
            first = store.statistics_epoch("f")
            commit(store, *(Statistic("f", "t", 0.2, 10, False) for _ in range(50)))
            second = store.statistics_epoch("f")
            commit(store, *(Statistic("f", "t", 5.0, 10, False) for _ in range(200)))

            assert before != first == second != store.statistics_epoch("f")
            assert store.statistics_epoch("g") == before

    # -- several engines -----------------------------------------------------------------------

    def test_engines_are_listed_with_whether_they_live(self) -> None:
        store = self.make()
        store.open("a")
        commit(store, Accept(Runs().row()))
        with self.opened(self.beside(store), "b") as other, self.opened(self.beside(store), None):
            assert {engine.id: engine.alive for engine in other.engines()} == {"a": True, "b": True}
            self.kill(store)
            assert {engine.id: engine.alive for engine in other.engines()} == {"a": False, "b": True}

    def test_an_engine_that_leaves_nothing_behind_is_forgotten(self) -> None:
        store = self.make()
        with self.opened(store):
            commit(store, Accept(Runs().row(status="succeeded")))

        with self.opened(self.beside(store), "b") as other:
            assert [engine.id for engine in other.engines()] == ["b"]

    def test_two_engines_of_one_name_do_not_run_at_once(self) -> None:
        with self.opened() as store:
            other = self.beside(store)

            with pytest.raises(StoreError):
                other.open("a")

    def test_runs_of_a_killed_engine_are_taken_over_once(self) -> None:
        store = self.make()
        store.open("a")
        runs = Runs()
        live = [runs.row(status=status) for status in ("running", "waiting", "paused", "queued")]
        commit(store, *map(Accept, live), Accept(runs.row(status="failed")))
        with self.opened(self.beside(store), "b") as b, self.opened(self.beside(store), "c") as c:
            assert b.take_over() == []
            self.kill(store)

            first = b.take_over(limit=3)
            second = c.take_over()

            assert len(first) == 3
            assert ids_of(first) | ids_of(second) == ids_of(live)
            assert len(second) == 1
            assert {row.owner for row in first} == {"b"}
            assert c.take_over() == b.take_over() == []
            assert {row.status: row.crashes for row in first + second} == {
                "running": 1,
                "waiting": 0,
                "paused": 0,
                "queued": 0,
            }

    def test_runs_of_an_engine_that_left_in_order_have_not_crashed(self) -> None:
        store = self.make()
        row = Runs().row()
        with self.opened(store):
            commit(store, Accept(row))

        with self.opened(self.beside(store), "b") as other:
            assert [(taken.id, taken.crashes) for taken in other.take_over()] == [(row.id, 0)]

    def test_runs_that_nobody_drives_are_taken_over(self) -> None:
        with self.opened() as store:
            runs = Runs(owner=None)
            queued = runs.row(status="queued")
            commit(
                store, Accept(queued), Accept(runs.row(status="waiting")), Accept(runs.row(status="paused"))
            )

            assert ids_of(store.take_over()) == {queued.id}

    def test_an_engine_takes_over_what_one_of_its_own_name_left_behind(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row()
        commit(store, Accept(row))
        self.kill(store)

        with self.opened(self.beside(store), "a") as again:
            assert [(taken.id, taken.crashes) for taken in again.take_over()] == [(row.id, 1)]
            assert again.take_over() == []

    def test_a_run_is_claimed_unless_somebody_alive_owns_it(self) -> None:
        store = self.make()
        store.open("a")
        runs = Runs()
        mine, nobodys, ended = runs.row(), runs.row(owner=None, status="paused"), runs.row(status="failed")
        commit(store, Accept(mine), Accept(nobodys), Accept(ended))
        with self.opened(self.beside(store), "b") as other:
            assert other.claim(mine.id) is None
            assert other.claim(ended.id) is None
            assert other.claim("none") is None
            claimed = other.claim(nobodys.id)
            self.kill(store)
            orphan = other.claim(mine.id)

        assert claimed is not None
        assert (claimed.owner, claimed.crashes) == ("b", 0)
        assert orphan is not None
        assert (orphan.owner, orphan.crashes) == ("b", 1)

    def test_due_runs_go_to_one_engine_in_the_order_of_their_time(self) -> None:
        with self.opened() as store, self.opened(self.beside(store), "b") as other:
            runs = Runs(owner=None)
            late, early, later = (runs.row(status="waiting", wake_at=NOON + at) for at in (20, 10, 30))
            in_memory = runs.row(status="waiting", wake_at=NOON, owner="a")
            commit(store, *map(Accept, (late, early, later, in_memory)))

            assert other.next_wake() == NOON + 10
            assert store.due(NOON + 9) == []
            assert [row.id for row in store.due(NOON + 25, limit=1)] == [early.id]
            assert other.next_wake() == NOON + 20
            assert [(row.id, row.owner) for row in other.due(NOON + 25)] == [(late.id, "b")]
            assert store.due(NOON + 25) == []
            assert store.next_wake() == NOON + 30

    def test_a_run_that_left_memory_is_due_once_its_change_is_kept(self) -> None:
        with self.opened() as store:
            row = Runs().row()
            commit(store, Accept(row))
            assert store.next_wake() is None

            commit(store, Change(row.id, {"status": "waiting", "owner": None, "wake_at": NOON + 60}))

            assert store.next_wake() == NOON + 60
            assert ids_of(store.due(NOON + 60)) == {row.id}

    def test_a_store_opened_for_reading_owns_nothing(self) -> None:
        store = self.make()
        with self.opened(store), self.opened(self.beside(store), None) as reader:
            row = Runs().row(owner=None, status="queued")
            commit(store, Accept(row))

            assert reader.run(row.id) == row
            for attempt in (reader.take_over, lambda: reader.claim(row.id), lambda: reader.due(NOON)):
                with pytest.raises(StoreError):
                    attempt()

    # -- commands -----------------------------------------------------------------------------------

    def test_a_command_reaches_the_owner_of_the_run_and_wakes_it(self) -> None:
        store = self.make()
        with self.opened(store), self.opened(self.beside(store), "b") as b:
            row = Runs().row()
            commit(store, Accept(row))
            woken = threading.Event()
            store.on_command(woken.set)

            b.send(row.id, "cancel", b"why")

            assert woken.wait(PATIENCE)
            assert b.receive() == []
            (command,) = store.receive()
            assert (command.run_id, command.kind, command.payload) == (row.id, "cancel", b"why")

    def test_a_command_is_received_once_until_it_is_settled(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row()
        commit(store, Accept(row))
        store.send(row.id, "pause", b"")
        store.send(row.id, "cancel", b"")
        pause, cancel = store.receive()
        assert store.receive() == []
        store.settle([pause.number])
        self.kill(store)

        with self.opened(self.beside(store), "b") as other:
            assert other.receive() == []
            other.take_over()
            assert other.receive() == [cancel]
            other.settle([cancel.number])

        with self.opened(self.beside(store), "c") as third:
            third.take_over()
            assert third.receive() == []

    def test_a_command_for_a_run_that_nobody_owns_makes_its_receiver_the_owner(self) -> None:
        with self.opened() as store:
            row = Runs(owner=None).row(status="waiting", wake_at=NOON + 86_400)
            commit(store, Accept(row))
            woken = threading.Event()
            store.on_command(woken.set)

            store.send(row.id, "cancel", b"")

            assert woken.wait(PATIENCE)
            assert [command.run_id for command in store.receive()] == [row.id]
            found = store.run(row.id)
            assert found is not None
            assert found.owner == "a"

    def test_a_command_for_an_ended_run_is_nobodys(self) -> None:
        with self.opened() as store:
            runs = Runs()
            ended, ends = runs.row(status="failed"), runs.row()
            commit(store, Accept(ended), Accept(ends))

            store.send(ended.id, "cancel", b"")
            store.send(ends.id, "cancel", b"")
            commit(store, Change(ends.id, {"status": "succeeded"}))

            assert store.receive() == []

    def test_a_command_for_a_run_that_is_not_there_is_an_error(self) -> None:
        with self.opened() as store, pytest.raises(NotFound):
            store.send("none", "cancel", b"")

    # -- upkeep ------------------------------------------------------------------------------------------

    def test_an_ended_run_is_deleted_with_all_that_belongs_to_it(self) -> None:
        with self.opened() as store:
            runs = Runs()
            ended, live = runs.row(key="k", status="succeeded"), runs.row()
            for row in (ended, live):
                commit(
                    store,
                    Accept(row),
                    Append(row.id, 0, b"zero"),
                    Append(row.id, 1, b"one"),
                    Log(row.id, "t", NOON, "info", "line"),
                )

            assert store.delete_runs([ended.id, live.id, "none"]) == 1

            assert store.run(ended.id) is None
            assert store.run_by_key("orders", "k") is None
            assert store.journal(ended.id) == []
            assert store.logs(ended.id) == []
            assert store.run(live.id) == live
            assert store.journal(live.id) == [b"zero", b"one"]

    def test_retention_deletes_what_ended_long_ago_in_steps(self) -> None:
        with self.opened() as store:
            runs = Runs()
            old = [runs.row(status="succeeded", ended_at=NOON + 100) for _ in range(5)]
            young = runs.row(status="failed", ended_at=NOON + 300)
            live = runs.row()
            commit(store, *map(Accept, [*old, young, live]))

            steps = [store.retain(older_than=NOON + 200, limit=2) for _ in range(4)]

            assert steps == [2, 2, 1, 0]
            assert ids_of(store.runs(RunFilter())) == {young.id, live.id}

    def test_retention_keeps_the_newest(self) -> None:
        with self.opened() as store:
            runs = Runs()
            ended = [runs.row(status="succeeded", ended_at=NOON + 100) for _ in range(6)]
            live = Runs(unique=2).row()
            commit(store, *map(Accept, [*ended, live]))

            assert store.retain(older_than=0.0, keep=2) == 4
            assert store.retain(older_than=0.0, keep=2) == 0

            assert ids_of(store.runs(RunFilter())) == {ended[4].id, ended[5].id, live.id}

    # -- blobs ------------------------------------------------------------------------------------------

    def test_a_blob_is_kept_by_its_content(self) -> None:
        store = self.make()
        with self.opened(store):
            name = store.blobs().put(b"x" * 100_000)

            assert store.blobs().put(memoryview(b"x" * 100_000)) == name

        with self.opened(self.beside(store), "b") as other:
            assert other.blobs().get(name) == b"x" * 100_000
            with pytest.raises(StoreCorrupt):
                other.blobs().get("0" * 64)

    def test_a_blob_goes_when_nothing_has_referred_to_it_for_a_while(self) -> None:
        with self.opened() as store:
            blobs = store.blobs()
            wanted, unwanted = blobs.put(b"wanted"), blobs.put(b"unwanted")

            assert blobs.sweep(lambda name: name == wanted, grace=3600.0) == 0
            assert blobs.sweep(lambda name: name == wanted, grace=-1.0) == 1

            assert blobs.get(wanted) == b"wanted"
            with pytest.raises(StoreCorrupt):
                blobs.get(unwanted)

    def test_blobs_go_with_the_runs_that_refer_to_them(self) -> None:
        runs = Runs()
        with self.opened() as store:
            rows = [runs.row(), runs.row(), runs.row()]
            names = [store.blobs().put(text) for text in (b"first batch", b"a later one", b"both")]
            for row, sequence, used in ((rows[0], 0, names[::2]), (rows[1], 1, names[1:])):
                ended = [Ended(f"t{n}", SUCCEEDED, 0.0, 0.0, blob=name) for n, name in enumerate(used)]
                batches = [encode([])] * sequence + [encode(ended)]  # type: ignore[arg-type]
                commit(store, Accept(row), *(Append(row.id, n, data) for n, data in enumerate(batches)))
            commit(store, *(Change(row.id, {"status": "succeeded", "ended_at": 1.0}) for row in rows[:2]))
            assert store.sweep_blobs(grace=-1.0) == 0

            store.delete_runs([rows[0].id])
            assert store.sweep_blobs(grace=3600.0) == 0
            assert store.sweep_blobs(grace=-1.0) == 1
            assert store.blobs().get(names[2]) == b"both"

            store.delete_runs([rows[1].id])
            assert store.sweep_blobs(grace=-1.0) == 2

    def test_a_blob_stays_that_the_inputs_or_the_result_of_a_run_or_an_event_refer_to(self) -> None:
        runs = Runs()
        with self.opened() as store:
            names = [store.blobs().put(text) for text in (b"of an input", b"of a result", b"of an event")]
            told = [values.encode({"blob": name}) for name in names]
            row = msgspec.structs.replace(runs.row(), inputs=told[0], result=told[1], status="succeeded")
            commit(store, Accept(row))
            store.events().emit(Event("one", "large", told[2], 1.0, "person"))
            assert store.sweep_blobs(grace=-1.0) == 0

            store.delete_runs([row.id])
            assert store.sweep_blobs(grace=-1.0) == 2
            store.events().forget(2.0)
            assert store.sweep_blobs(grace=-1.0) == 1

    # -- closed ------------------------------------------------------------------------------------------

    def test_a_store_that_is_closed_says_so(self) -> None:
        store = self.make()
        with self.opened(store):
            pass

        with pytest.raises(StoreError):
            store.run("r")
        store.close()  # once more does nothing

    def test_a_store_is_opened_once(self) -> None:
        with self.opened() as store, pytest.raises(StoreError):
            store.open("b")
