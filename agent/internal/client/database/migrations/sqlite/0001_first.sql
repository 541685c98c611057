-- The schema of a stepctl database, for SQLite. migrations/postgres has the same tables and columns.
--
-- Times are TEXT of one width in UTC, 2026-11-30T00:14:22.500000Z, so that < and ORDER BY compare
-- them. Durations are REAL, in seconds. The file is marked by application_id 0x73746570 ("step") and
-- by user_version, the number of the newest migration.
--
-- Programs may insert rows into queue, and may read everything. All other tables are written by
-- stepctl alone.

-- Procedures: step files, each version kept byte for byte and never changed.
CREATE TABLE procedures (
    name     TEXT NOT NULL CHECK (name <> ''),
    version  INTEGER NOT NULL CHECK (version >= 1), -- from 1, without gaps
    sha256   TEXT NOT NULL,                         -- of content, hexadecimal
    content  BLOB NOT NULL,                         -- the step file
    steps    INTEGER NOT NULL,                      -- number of steps in content
    imported TEXT NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

CREATE TRIGGER procedures_immutable BEFORE UPDATE ON procedures BEGIN
    SELECT RAISE(ABORT, 'a version of a procedure never changes; import a new version');
END;

-- Runs: one row for each run of a procedure ('run') or load test ('load'). From procedure_sha256 on,
-- what the record says is derived from the events, and "stepctl db check" compares it with them. Board,
-- version, entry, attempt and worker are not in the record.
CREATE TABLE runs (
    -- Start in UTC and six hexadecimal digits, 20261130T001422-7f3a9c. The first three digits are
    -- the fraction of the second in 1/4096, the others random: ids sort by the time of the start.
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'load')),
    procedure        TEXT NOT NULL, -- name without folder and ending
    version          INTEGER,       -- of procedures; NULL: the procedure is not from this database
    procedure_sha256 TEXT NOT NULL DEFAULT '',
    board            TEXT NOT NULL DEFAULT '',
    address          TEXT NOT NULL DEFAULT '', -- of the agent, host and port
    session          TEXT NOT NULL DEFAULT '',
    client           TEXT NOT NULL DEFAULT '', -- version of stepctl
    agent            TEXT NOT NULL DEFAULT '', -- name and version of the agent
    host             TEXT NOT NULL DEFAULT '', -- machine of the client
    started          TEXT NOT NULL,
    seen             TEXT NOT NULL,            -- last sign of life of a running run
    state            TEXT NOT NULL CHECK (state IN ('running', 'ended', 'interrupted')),
    cause            TEXT NOT NULL DEFAULT '', -- finished, interrupted, lost; empty without an end
    verdict          TEXT NOT NULL DEFAULT 'undecided' CHECK (verdict IN ('pass', 'fail', 'undecided')),
    duration         REAL NOT NULL DEFAULT 0,  -- seconds
    steps            INTEGER NOT NULL DEFAULT 0,
    passed           INTEGER NOT NULL DEFAULT 0,
    failed           INTEGER NOT NULL DEFAULT 0,
    undecided        INTEGER NOT NULL DEFAULT 0, -- not run or unanswered
    record_sha256    TEXT UNIQUE,                -- of all lines; NULL until the run has ended
    result           TEXT,                       -- load: the JSON object of load --json
    entry            INTEGER,                    -- queue.id of the entry that asked for the run
    attempt          INTEGER,                    -- of that entry, from 1
    worker           TEXT                        -- that performed the entry
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_started ON runs (started, session);
CREATE INDEX runs_procedure ON runs (procedure, id);
CREATE INDEX runs_board ON runs (board, id);
CREATE INDEX runs_verdict ON runs (verdict, id);
CREATE INDEX runs_entry ON runs (entry, id) WHERE entry IS NOT NULL;
CREATE INDEX runs_running ON runs (seen) WHERE state = 'running';

CREATE TABLE labels (
    run   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    key   TEXT NOT NULL CHECK (key <> ''),
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX labels_value ON labels (key, value, run);

-- Events: the record of a run. The rows of a run, joined in the order of "first", are the bytes of
-- its record: JSON lines, each with its newline.
CREATE TABLE events (
    run   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first INTEGER NOT NULL CHECK (first >= 1), -- number of the first line, from 1
    lines TEXT NOT NULL,                       -- one or more whole lines
    PRIMARY KEY (run, first)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_immutable BEFORE UPDATE ON events BEGIN
    SELECT RAISE(ABORT, 'events are evidence and never change');
END;

-- Steps: the result of each step, derived from the events.
CREATE TABLE steps (
    run      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idx      INTEGER NOT NULL, -- position in the procedure, from 1
    step_id  INTEGER NOT NULL,
    timeout  REAL NOT NULL,    -- seconds, as declared
    interval REAL NOT NULL,    -- seconds, as declared
    outcome  TEXT NOT NULL,    -- passed, failed, timed_out, lost, wrong_reply, unreachable, not_run, unanswered
    reason   TEXT NOT NULL DEFAULT '',
    sent_at  REAL,             -- seconds since the start of the run; NULL: not sent
    took     REAL,             -- seconds until the reply; NULL: no reply of this step in time
    kept     REAL,             -- seconds waited after the step; NULL: none
    PRIMARY KEY (run, idx)
) STRICT, WITHOUT ROWID;

-- Baselines: named sets of runs of one procedure, which later runs are compared with.
CREATE TABLE baselines (
    procedure TEXT NOT NULL,
    name      TEXT NOT NULL CHECK (name <> ''),
    run       TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    made      TEXT NOT NULL,
    PRIMARY KEY (procedure, name, run)
) STRICT, WITHOUT ROWID;

CREATE INDEX baselines_run ON baselines (run);

-- Queue: what workers are to perform. INSERT INTO queue (procedure, board) VALUES ('success', 'bench-7')
-- is enough; the other columns have defaults.
CREATE TABLE queue (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    procedure    TEXT NOT NULL CHECK (procedure <> ''),
    version      INTEGER CHECK (version >= 1),     -- NULL: the newest when it is performed
    board        TEXT NOT NULL CHECK (board <> ''),
    priority     INTEGER NOT NULL DEFAULT 0,       -- higher first
    due          TEXT                              -- NULL: at once
                 CHECK (due IS NULL OR due GLOB '????-??-??T??:??:??*Z' AND julianday(due) IS NOT NULL),
    every        TEXT,                             -- a duration (1h30m) or five cron fields; NULL: once
    times        INTEGER CHECK (times >= 1),       -- NULL: 1 without every, without end with it
    labels       TEXT NOT NULL DEFAULT '',         -- of its runs: k=v,k=v
    performed    INTEGER NOT NULL DEFAULT 0,
    state        TEXT NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed')),
    problem      TEXT,                             -- why it cannot be performed
    worker       TEXT,                             -- that holds the lease
    lease        TEXT,                             -- random token of the claim
    leased_until TEXT,
    attempt      INTEGER NOT NULL DEFAULT 0,
    run          TEXT,                             -- runs.id of the current or last run
    added        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')
) STRICT;

CREATE INDEX queue_open ON queue (state, due);
-- One run at a time on each board, over all workers.
CREATE UNIQUE INDEX queue_running ON queue (board) WHERE state = 'running';
