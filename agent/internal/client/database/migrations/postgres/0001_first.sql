-- The schema of a stepctl database, for PostgreSQL. migrations/sqlite has the same tables and columns.
--
-- Durations are DOUBLE PRECISION, in seconds. The table stepctl_schema has a row for each migration
-- that was applied. Everything is in the first schema of the search_path.
--
-- Programs may insert rows into queue, and may read everything. All other tables are written by
-- stepctl alone.

-- Procedures: step files, each version kept byte for byte and never changed.
CREATE TABLE procedures (
    name     TEXT NOT NULL CHECK (name <> ''),
    version  BIGINT NOT NULL CHECK (version >= 1), -- from 1, without gaps
    sha256   TEXT NOT NULL, -- of content, hexadecimal
    content  BYTEA NOT NULL, -- the step file
    steps    BIGINT NOT NULL, -- number of steps in content
    imported TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE FUNCTION stepctl_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER procedures_immutable BEFORE UPDATE ON procedures FOR EACH ROW
    EXECUTE FUNCTION stepctl_refuse('a version of a procedure never changes; import a new version');

-- Runs: one row for each run of a procedure ('run') or load test ('load'). From procedure_sha256 on,
-- what the record says is derived from the events, and "stepctl db check" compares it with them. Board,
-- version, entry, attempt and worker are not in the record.
CREATE TABLE runs (
    -- Start in UTC and six hexadecimal digits, 20261130T001422-7f3a9c. The first three digits are
    -- the fraction of the second in 1/4096, the others random: ids sort by the time of the start.
    id               TEXT COLLATE "C" PRIMARY KEY,
    kind             TEXT NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'load')),
    procedure        TEXT NOT NULL, -- name without folder and ending
    version          BIGINT, -- of procedures; NULL: the procedure is not from this database
    procedure_sha256 TEXT NOT NULL DEFAULT '',
    board            TEXT NOT NULL DEFAULT '',
    address          TEXT NOT NULL DEFAULT '', -- of the agent, host and port
    session          TEXT NOT NULL DEFAULT '',
    client           TEXT NOT NULL DEFAULT '', -- version of stepctl
    agent            TEXT NOT NULL DEFAULT '', -- name and version of the agent
    host             TEXT NOT NULL DEFAULT '', -- machine of the client
    started          TIMESTAMPTZ NOT NULL,
    seen             TIMESTAMPTZ NOT NULL, -- last sign of life of a running run
    state            TEXT NOT NULL CHECK (state IN ('running', 'ended', 'interrupted')),
    cause            TEXT NOT NULL DEFAULT '', -- finished, interrupted, lost; empty without an end
    verdict          TEXT NOT NULL DEFAULT 'undecided' CHECK (verdict IN ('pass', 'fail', 'undecided')),
    duration         DOUBLE PRECISION NOT NULL DEFAULT 0, -- seconds
    steps            BIGINT NOT NULL DEFAULT 0,
    passed           BIGINT NOT NULL DEFAULT 0,
    failed           BIGINT NOT NULL DEFAULT 0,
    undecided        BIGINT NOT NULL DEFAULT 0, -- not run or unanswered
    record_sha256    TEXT UNIQUE, -- of all lines; NULL until the run has ended
    result           TEXT, -- load: the JSON object of load --json
    entry            BIGINT, -- queue.id of the entry that asked for the run
    attempt          BIGINT, -- of that entry, from 1
    worker           TEXT                        -- that performed the entry
);

CREATE INDEX runs_started ON runs (started, session);
CREATE INDEX runs_procedure ON runs (procedure, id);
CREATE INDEX runs_board ON runs (board, id);
CREATE INDEX runs_verdict ON runs (verdict, id);
CREATE INDEX runs_entry ON runs (entry, id) WHERE entry IS NOT NULL;
CREATE INDEX runs_running ON runs (seen) WHERE state = 'running';

CREATE TABLE labels (
    run   TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    key   TEXT NOT NULL CHECK (key <> ''),
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
);

CREATE INDEX labels_value ON labels (key, value, run);

-- Events: the record of a run. The rows of a run, joined in the order of "first", are the bytes of
-- its record: JSON lines, each with its newline.
CREATE TABLE events (
    run   TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first BIGINT NOT NULL CHECK (first >= 1), -- number of the first line, from 1
    lines TEXT NOT NULL, -- one or more whole lines
    PRIMARY KEY (run, first)
);

CREATE TRIGGER events_immutable BEFORE UPDATE ON events FOR EACH ROW
    EXECUTE FUNCTION stepctl_refuse('events are evidence and never change');

-- Steps: the result of each step, derived from the events.
CREATE TABLE steps (
    run      TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idx      BIGINT NOT NULL, -- position in the procedure, from 1
    step_id  BIGINT NOT NULL,
    timeout  DOUBLE PRECISION NOT NULL, -- seconds, as declared
    interval DOUBLE PRECISION NOT NULL, -- seconds, as declared
    outcome  TEXT NOT NULL, -- passed, failed, timed_out, lost, wrong_reply, unreachable, not_run, unanswered
    reason   TEXT NOT NULL DEFAULT '',
    sent_at  DOUBLE PRECISION, -- seconds since the start of the run; NULL: not sent
    took     DOUBLE PRECISION, -- seconds until the reply; NULL: no reply of this step in time
    kept     DOUBLE PRECISION, -- seconds waited after the step; NULL: none
    PRIMARY KEY (run, idx)
);

-- Baselines: named sets of runs of one procedure, which later runs are compared with.
CREATE TABLE baselines (
    procedure TEXT NOT NULL,
    name      TEXT NOT NULL CHECK (name <> ''),
    run       TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    made      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (procedure, name, run)
);

CREATE INDEX baselines_run ON baselines (run);

-- Queue: what workers are to perform. INSERT INTO queue (procedure, board) VALUES ('success', 'bench-7')
-- is enough; the other columns have defaults.
CREATE TABLE queue (
    id           BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    procedure    TEXT NOT NULL CHECK (procedure <> ''),
    version      BIGINT CHECK (version >= 1), -- NULL: the newest when it is performed
    board        TEXT NOT NULL CHECK (board <> ''),
    priority     BIGINT NOT NULL DEFAULT 0, -- higher first
    due          TIMESTAMPTZ CHECK (isfinite(due)), -- NULL: at once
    every        TEXT, -- a duration (1h30m) or five cron fields; NULL: once
    times        BIGINT CHECK (times >= 1), -- NULL: 1 without every, without end with it
    labels       TEXT NOT NULL DEFAULT '', -- of its runs: k=v,k=v
    performed    BIGINT NOT NULL DEFAULT 0,
    state        TEXT NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed')),
    problem      TEXT, -- why it cannot be performed
    worker       TEXT, -- that holds the lease
    lease        TEXT, -- random token of the claim
    leased_until TIMESTAMPTZ,
    attempt      BIGINT NOT NULL DEFAULT 0,
    run          TEXT, -- runs.id of the current or last run
    added        TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX queue_open ON queue (state, due);
-- One run at a time on each board, over all workers.
CREATE UNIQUE INDEX queue_running ON queue (board) WHERE state = 'running';

-- Those who LISTEN stepctl_queue or stepctl_runs look at the table after each notice.
CREATE FUNCTION stepctl_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], '');
    RETURN NULL;
END $$;

CREATE TRIGGER queue_notify AFTER INSERT OR UPDATE OR DELETE ON queue FOR EACH STATEMENT
    EXECUTE FUNCTION stepctl_notify('stepctl_queue');
CREATE TRIGGER runs_notify AFTER INSERT OR UPDATE OR DELETE ON runs FOR EACH STATEMENT
    EXECUTE FUNCTION stepctl_notify('stepctl_runs');
