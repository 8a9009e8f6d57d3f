"""What a store promises of labels, as tests; part of `StoreContract`."""
# ruff: noqa: D102 - the name of a test is the sentence that would stand there

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder.storage.api import Accept, Change, RunFilter
from flowbuilder.testing.store_under_test import NOON, Runs, StoreUnderTest, commit

if TYPE_CHECKING:
    from flowbuilder.storage.api import RunRow, Store


class LabelsContract(StoreUnderTest):
    """What a store promises of labels."""

    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            (RunFilter(labels={"team": "a"}), "520"),
            (RunFilter(labels={"team": "a", "stage": "test"}), "50"),
            (RunFilter(labels={"stage": "test", "team": "a"}, limit=1), "5"),
            (RunFilter(labels={"team": "b"}, flow="orders"), "3"),
            (RunFilter(labels={"team": "a"}, status=("failed", "waiting")), "5"),
            (RunFilter(labels={"team": "a"}, parent="p"), "52"),
            (RunFilter(labels={"team": "a"}, since=NOON + 2, until=NOON + 5), "2"),
            (RunFilter(labels={"team": ""}), ""),
            (RunFilter(labels={"Team": "a"}), ""),
            (RunFilter(labels={"\u00fc \U0001f600": "=,'\""}), "4"),
        ],
    )
    def test_runs_are_found_by_their_labels_newest_first(self, which: RunFilter, expected: str) -> None:
        with self.opened() as store:
            rows = self._labelled(store)

            found = store.runs(which)

            assert "".join(str(rows.index(row)) for row in found) == expected

    def test_a_list_by_label_goes_on_behind_a_run(self) -> None:
        with self.opened() as store:
            rows = self._labelled(store)

            assert store.runs(RunFilter(labels={"team": "a"}, before=rows[5].id, limit=1)) == [rows[2]]

    def test_labels_are_found_after_the_store_was_opened_again(self) -> None:
        first = self.make()
        with self.opened(first) as store:
            row = Runs().row(labels={"team": "a"})
            commit(store, Accept(row))
            with self.opened(self.beside(first), None) as other:
                assert other.runs(RunFilter(labels={"team": "a"})) == [row]

    def test_new_labels_take_the_place_of_old_ones(self) -> None:
        with self.opened() as store:
            row = Runs().row(labels={"team": "a", "stage": "test"})
            commit(store, Accept(row))
            commit(store, Change(row.id, {"labels": {"team": "b"}}))

            assert [one.labels for one in store.runs(RunFilter(labels={"team": "b"}))] == [{"team": "b"}]
            assert store.runs(RunFilter(labels={"stage": "test"})) == []

    def test_a_refused_run_and_a_deleted_one_are_not_found(self) -> None:
        with self.opened() as store:
            runs = Runs()
            first = runs.row(key="k", status="succeeded", labels={"team": "a"})
            commit(store, Accept(first))
            commit(store, Accept(runs.row(key="k", labels={"team": "a"})))
            assert store.runs(RunFilter(labels={"team": "a"})) == [first]

            store.delete_runs([first.id])
            assert store.runs(RunFilter(labels={"team": "a"})) == []

    @staticmethod
    def _labelled(store: Store) -> list[RunRow]:
        runs = Runs()
        rows = [
            runs.row("orders", "succeeded", labels={"team": "a", "stage": "test"}),
            runs.row("bills", "failed"),
            runs.row("orders", "succeeded", parent="p", labels={"team": "a"}),
            runs.row("orders", "failed", labels={"team": "b", "stage": "test"}),
            runs.row("bills", "succeeded", labels={"\u00fc \U0001f600": "=,'\""}),
            runs.row("orders", "waiting", parent="p", labels={"team": "a", "stage": "test"}),
        ]
        commit(store, *map(Accept, rows))
        return rows
