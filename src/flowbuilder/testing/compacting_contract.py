"""What a store promises of compacted journals, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

from flowbuilder.storage.api import Accept, Append, Change, Compact
from flowbuilder.testing.store_under_test import Runs, StoreUnderTest, commit


class CompactingContract(StoreUnderTest):
    """What a store promises of journals that are made shorter."""

    def test_one_batch_stands_for_all_up_to_a_number_and_what_is_behind_it_stays(self) -> None:
        with self.opened() as store:
            row = Runs().row()
            commit(store, Accept(row), Append(row.id, 0, b"0"), Append(row.id, 1, b"1"))
            commit(store, Append(row.id, 2, b"2"), Append(row.id, 3, b"3"))

            commit(store, Compact(row.id, 2, b"012"))
            assert store.journal(row.id) == [b"012", b"3"]
            commit(store, Append(row.id, 4, b"4"), Compact(row.id, 3, b"0123"), Append(row.id, 5, b"5"))
            assert store.journal(row.id) == [b"0123", b"4", b"5"]

    def test_the_batch_that_a_run_was_accepted_with_can_be_replaced_alone(self) -> None:
        with self.opened() as store:
            row, late = (runs := Runs()).row(), runs.row()
            commit(store, Accept(row), Append(row.id, 0, b"0"), Accept(late))
            commit(store, Append(row.id, 1, b"1"), Append(late.id, 0, b"0"), Append(late.id, 1, b"1"))

            commit(store, Compact(row.id, 0, b"zero"), Compact(late.id, 0, b"nought"))

            assert store.journal(row.id) == [b"zero", b"1"]
            assert store.journal(late.id) == [b"nought", b"1"]

    def test_who_comes_late_compacts_nothing(self) -> None:
        with self.opened() as store:
            row = Runs().row()
            commit(store, Accept(row), *[Append(row.id, number, b"%d" % number) for number in range(4)])
            commit(store, Compact(row.id, 2, b"012"))

            assert (
                commit(store, Compact(row.id, 1, b"01"), Compact(row.id, 9, b"?"), Compact("gone", 0, b"?"))
                is None
            )

            assert store.journal(row.id) == [b"012", b"3"]

    def test_a_run_that_was_compacted_is_deleted_whole(self) -> None:
        with self.opened() as store:
            row = Runs().row()
            commit(
                store,
                Accept(row),
                Append(row.id, 0, b"0"),
                Append(row.id, 1, b"1"),
                Compact(row.id, 1, b"01"),
            )
            commit(store, Compact(row.id, 1, b"01"), Change(row.id, {"status": "succeeded", "ended_at": 1.0}))

            assert store.delete_runs([row.id]) == 1
            assert store.journal(row.id) == []

    def test_what_was_compacted_outlives_the_process(self) -> None:
        store = self.make()
        with self.opened(store) as opened:
            row = Runs().row()
            commit(opened, Accept(row), Append(row.id, 0, b"0"), Append(row.id, 1, b"1"))
            commit(opened, Compact(row.id, 1, b"01"))
        with self.opened(self.beside(store)) as again:
            assert again.journal(row.id) == [b"01"]
