"""The tables of a store file, as the current format has them.

`runs` keeps the first batch of a run's journal in its own row: a run that
ends in the group it was accepted in is one row of one table.  Rows of runs
are long and lie in the order they came, which makes a commit touch fewer pages
than if they were clustered by id (benchmarks/store.py: 3.6 instead of 4.0, and
a tenth less time a row); rows of the journal are short, and a run's lie side
by side.  Ids sort by time, so that what is new goes to the end everywhere.

Each index costs every run that it holds: most are partial and hold only runs
that are live, unusual or named.
"""

from __future__ import annotations

from flowbuilder.storage.sqlite import deadlines, events, facts, labels, lanes

APPLICATION_ID = 0x464C4F57
"""Written into the file's header ("FLOW"): tells our files from other SQLite files."""

FORMAT = 2
"""The version of the format that this release reads and writes."""

TABLES_1 = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY NOT NULL,
    flow TEXT NOT NULL,
    flow_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    inputs BLOB NOT NULL,
    key TEXT,
    priority INTEGER NOT NULL,
    started_at REAL,
    ended_at REAL,
    wake_at REAL,
    owner TEXT,
    parent TEXT,
    result BLOB,
    crashes INTEGER NOT NULL,
    labels BLOB,
    first_batch BLOB
);
CREATE INDEX runs_by_flow ON runs (flow, id);
CREATE UNIQUE INDEX runs_by_key ON runs (flow, key) WHERE key IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, id) WHERE status <> 'succeeded';
CREATE INDEX runs_by_parent ON runs (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_by_owner ON runs (owner, id)
    WHERE owner IS NOT NULL AND status IN ('queued', 'running', 'waiting', 'paused');
CREATE INDEX runs_to_wake ON runs (wake_at, id)
    WHERE wake_at IS NOT NULL AND owner IS NULL AND status = 'waiting';

CREATE TABLE journal (
    run_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run_id, sequence)
) WITHOUT ROWID;

CREATE TABLE flows (
    content_hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    definition BLOB NOT NULL
);

CREATE TABLE logs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    task TEXT NOT NULL,
    at REAL NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    data BLOB
);
CREATE INDEX logs_by_run ON logs (run_id, number);
CREATE TABLE log_sizes (
    run_id TEXT NOT NULL,
    task TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0,
    dropped_to INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, task)
) WITHOUT ROWID;

CREATE TABLE statistics (
    flow TEXT NOT NULL,
    task TEXT NOT NULL,
    figures BLOB NOT NULL,
    PRIMARY KEY (flow, task)
) WITHOUT ROWID;
CREATE TABLE statistics_epochs (
    flow TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE engines (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    started_at REAL NOT NULL,
    left_at REAL
) WITHOUT ROWID;

CREATE TABLE commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX commands_by_run ON commands (run_id);
"""

ADDED_IN_2 = f"""
ALTER TABLE runs ADD COLUMN about BLOB;
{facts.TABLES}
{events.TABLES}
{labels.TABLES}
{lanes.TABLES}
{deadlines.TABLES}
"""
"""What format 2 has that format 1 had not."""

TABLES = TABLES_1 + ADDED_IN_2
