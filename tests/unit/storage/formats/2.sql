PRAGMA application_id = 1179406167;
BEGIN TRANSACTION;
CREATE TABLE asked_members (
    name TEXT NOT NULL,
    member TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (name, member)
) WITHOUT ROWID;
CREATE TABLE commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL
);
INSERT INTO "commands" VALUES(1,'01m3250wyg0000000000000001','cancel',X'A3776879');
CREATE TABLE engines (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    started_at REAL NOT NULL,
    left_at REAL
) WITHOUT ROWID;
INSERT INTO "engines" VALUES('a',4242,'host',1790000000.0,NULL);
CREATE TABLE event_values (
    name TEXT NOT NULL,
    member TEXT NOT NULL,
    digest TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (name, member, digest, number)
) WITHOUT ROWID;
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    run_id TEXT,
    name TEXT NOT NULL,
    payload BLOB NOT NULL,
    at REAL NOT NULL,
    source TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE facts (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    expires_at REAL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE flows (
    content_hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    definition BLOB NOT NULL
);
INSERT INTO "flows" VALUES('hash','orders',X'80');
CREATE TABLE format (version INTEGER PRIMARY KEY, since REAL NOT NULL);
INSERT INTO "format" VALUES(1,1790000000.0);
INSERT INTO "format" VALUES(2,1790000000.0);
CREATE TABLE journal (
    run_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run_id, sequence)
) WITHOUT ROWID;
INSERT INTO "journal" VALUES('01m3250vz80000000000000001',1,X'9101');
INSERT INTO "journal" VALUES('01m3250wyg0000000000000001',0,X'920102');
CREATE TABLE log_sizes (
    run_id TEXT NOT NULL,
    task TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0,
    dropped_to INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, task)
) WITHOUT ROWID;
INSERT INTO "log_sizes" VALUES('01m3250wyg0000000000000001','fetch',72,0,0);
CREATE TABLE logs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    task TEXT NOT NULL,
    at REAL NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    data BLOB
);
INSERT INTO "logs" VALUES(1,'01m3250wyg0000000000000001','fetch',1790000001.0,'info','fetched',X'80');
CREATE TABLE run_labels (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (name, value, run_id)
) WITHOUT ROWID;
INSERT INTO "run_labels" VALUES('team','x','01m3250vz80000000000000001');
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
, about BLOB, lane TEXT, deadline_at REAL);
INSERT INTO "runs" VALUES('01m3250vz80000000000000001','orders','hash','succeeded',1790000001.0,X'80','k',50,1790000001.0,1790000002.0,NULL,'a',NULL,X'81A16E01',0,X'81A47465616DA178',X'90',NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01m3250wyg0000000000000001','orders','hash','running',1790000002.0,X'80',NULL,50,NULL,NULL,NULL,'a',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('01m3250xxr0000000000000001','orders','hash','waiting',1790000003.0,X'80',NULL,50,NULL,NULL,1790000060.0,NULL,'01m3250vz80000000000000001',NULL,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE statistics (
    flow TEXT NOT NULL,
    task TEXT NOT NULL,
    figures BLOB NOT NULL,
    PRIMARY KEY (flow, task)
) WITHOUT ROWID;
INSERT INTO "statistics" VALUES('orders','fetch',X'970100CB3FF0000000000000CB408F400000000000CB400800000000000081F2CB3FF000000000000092CB3FD011A32A99DE7FCB4090000000000000');
CREATE TABLE statistics_epochs (
    flow TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "statistics_epochs" VALUES('orders',1);
CREATE TABLE subscriptions (
    run_id TEXT NOT NULL,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    signal INTEGER NOT NULL,
    member TEXT NOT NULL,
    digest TEXT NOT NULL,
    after INTEGER NOT NULL,
    woken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, path)
) WITHOUT ROWID;
CREATE INDEX runs_by_flow ON runs (flow, id);
CREATE UNIQUE INDEX runs_by_key ON runs (flow, key) WHERE key IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, id) WHERE status <> 'succeeded';
CREATE INDEX runs_by_parent ON runs (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_by_owner ON runs (owner, id)
    WHERE owner IS NOT NULL AND status IN ('queued', 'running', 'waiting', 'paused');
CREATE INDEX runs_to_wake ON runs (wake_at, id)
    WHERE wake_at IS NOT NULL AND owner IS NULL AND status = 'waiting';
CREATE INDEX logs_by_run ON logs (run_id, number);
CREATE INDEX commands_by_run ON commands (run_id);
CREATE INDEX facts_to_expire ON facts (kind, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX events_by_name ON events (name, number) WHERE run_id IS NULL;
CREATE INDEX events_by_run ON events (run_id, name, number) WHERE run_id IS NOT NULL;
CREATE INDEX events_by_age ON events (at) WHERE run_id IS NULL OR taken;
CREATE INDEX event_values_by_number ON event_values (number);
CREATE INDEX subscriptions_by_value ON subscriptions (name, member, digest) WHERE NOT signal;
CREATE INDEX subscriptions_woken ON subscriptions (name, after) WHERE woken;
CREATE INDEX run_labels_by_run ON run_labels (run_id);
CREATE INDEX runs_in_lanes ON runs (lane, status, priority DESC, id)
    WHERE lane IS NOT NULL AND ended_at IS NULL;
CREATE INDEX runs_kept_in_lanes ON runs (lane, owner, priority DESC, id)
    WHERE lane IS NOT NULL AND owner IS NOT NULL AND status = 'queued';
CREATE INDEX runs_unowned ON runs (id)
    WHERE owner IS NULL AND status IN ('queued', 'running') AND (lane IS NULL OR status <> 'queued');
CREATE INDEX runs_by_deadline ON runs (deadline_at, id) WHERE deadline_at IS NOT NULL AND ended_at IS NULL AND (status IN ('queued', 'paused') OR status = 'waiting' AND started_at IS NULL);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('commands',1);
INSERT INTO "sqlite_sequence" VALUES('logs',1);
COMMIT;
