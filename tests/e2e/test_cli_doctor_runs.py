"""`flowbuilder doctor --runs`: what each live run owns, and whether any is stuck."""

import contextlib
from pathlib import Path

import apsw
import pytest
from command_line import Cli

from flowbuilder.storage.api import Accept
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.store_under_test import NOON, Runs, commit


@pytest.fixture
def store(cli: Cli) -> Path:
    """A store with a run that sleeps, one that is paused, and one that owns nothing."""
    path = cli.folder / ".flowbuilder" / "flowbuilder.db"
    opened = SqliteStore(path)
    opened.open("a")
    runs = Runs(owner=None)
    rows = [
        runs.row(status="waiting", wake_at=NOON + 1e9),
        runs.row(status="paused"),
        runs.row(status="waiting"),
    ]
    commit(opened, *map(Accept, rows))
    opened.close()
    return path


def test_a_run_that_owns_nothing_is_named_and_repaired(cli: Cli, store: Path) -> None:
    sick = cli("doctor", "--runs")
    found = cli.json("doctor", "--runs", "--json", code=1)
    mended = cli("doctor", "--runs", "--repair")
    well = cli.json("doctor", "--runs", "--json")

    assert sick.returncode == 1
    assert "1 stuck" in sick.stderr
    assert found["stuck"] == 1
    assert (found["holds"]["timer"], found["holds"]["pause"]) == (1, 1)
    assert found["runs"][0]["run_id"] in sick.stderr
    assert mended.returncode == 0
    assert (well["stuck"], well["live"], well["holds"]["timer"]) == (0, 3, 2)


def test_what_has_leaked_is_told(cli: Cli, store: Path) -> None:
    with contextlib.closing(apsw.Connection(str(store))) as connection:
        connection.execute("INSERT INTO commands (run_id, kind, payload) VALUES ('gone', 'cancel', x'80')")

    done = cli("doctor", "--runs")

    assert done.returncode == 1
    assert "1 rows of commands belong to runs that have ended" in done.stderr


def test_a_store_without_live_runs_is_well(cli: Cli) -> None:
    cli("run", cli.flow("flow: f\ntasks: {a: {type: set, with: 1}}"), "-q")

    done = cli("doctor", "--runs")

    assert done.returncode == 0
    assert "0 live runs, 0 stuck" in done.stderr


def test_repair_goes_with_runs(cli: Cli) -> None:
    assert cli("doctor", "--repair").returncode == 2
