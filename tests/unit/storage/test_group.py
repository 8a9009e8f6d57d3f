"""What a group comes to: writes of one run melt, and those of refused runs are taken out."""

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbuilder.storage.api import Accept, Append, Change, Log, Statistic
from flowbuilder.storage.sqlite.bulk import SIZES, Bulk
from flowbuilder.storage.sqlite.group import Group
from flowbuilder.testing.store_under_test import NOON, Runs

STATUS, FIRST = 3, -1


def group_of(*items: object) -> Group:
    group = Group()
    group.add(items)
    return group


def test_a_run_that_ends_at_once_is_one_row() -> None:
    row = Runs().row()
    group = group_of(Accept(row), Append(row.id, 0, b"all"), Change(row.id, {"status": "succeeded"}))

    rows, keyed, batches = group.melt()

    assert [(columns[0], columns[STATUS], columns[FIRST]) for columns in rows] == [
        (row.id, "succeeded", b"all")
    ]
    assert (keyed, batches, group.changes) == ([], [], {})
    assert row.status == "running"


def test_only_the_first_batch_of_a_new_run_goes_into_its_row() -> None:
    new, old = Runs().row(), "older"
    group = group_of(
        Append(old, 0, b"of an older one"), Accept(new), Append(new.id, 0, b"0"), Append(new.id, 1, b"1")
    )

    rows, _, batches = group.melt()

    assert [columns[FIRST] for columns in rows] == [b"0"]
    assert batches == [(old, 0, b"of an older one"), (new.id, 1, b"1")]


def test_nothing_is_left_of_a_run_that_was_refused() -> None:
    runs = Runs()
    refused, kept = runs.row(key="k"), runs.row()
    group = group_of(
        Accept(refused),
        Append(refused.id, 1, b"x"),
        Change(refused.id, {"status": "failed"}),
        Log(refused.id, "t", NOON, "info", "line"),
        Accept(kept),
        Statistic("f", "t", 1.0, 1, False),
    )
    assert group.runs() == {refused.id, kept.id}

    group.drop({refused.id})

    assert group.runs() == {kept.id}


@pytest.mark.parametrize(
    ("item", "writes", "awaited"),
    [
        (Append("r", 0, b""), True, False),
        (Statistic("f", "t", 1.0, 1, False), True, False),
        (lambda error: None, False, True),
    ],
    ids=["batch", "statistic", "waiter"],
)
def test_a_group_knows_whether_anybody_waits_for_it(item: object, writes: bool, awaited: bool) -> None:
    group = group_of(item)

    assert (group.writes, group.awaited) == (writes, awaited)


@given(st.integers(0, 2_000))
def test_any_number_of_rows_goes_in_in_order(count: int) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a, b)")
    bulk = Bulk("INSERT INTO t VALUES ", 2)
    rows = [(number, str(number)) for number in range(count)]

    bulk.execute(connection.cursor(), rows)

    assert connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall() == rows
    assert bulk.fits_one(count) == (count in SIZES)
