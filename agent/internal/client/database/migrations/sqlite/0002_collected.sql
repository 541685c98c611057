-- What agents have judged: the events of their records, which "stepctl collect" takes from NATS.

-- Agent messages: a row for each message that was stored. A message that is delivered again is found by
-- its id.
CREATE TABLE agent_messages (
    id        TEXT PRIMARY KEY,       -- the header Nats-Msg-Id: agent, life, file and place in the file
    fleet     TEXT NOT NULL,
    board     TEXT NOT NULL,
    kind      TEXT NOT NULL,          -- step, session or status: the last word of the subject
    sequence  INTEGER NOT NULL,       -- in the stream
    published TEXT NOT NULL,          -- when NATS stored it, by the clock of its server
    collected TEXT NOT NULL,
    events    INTEGER NOT NULL,       -- lines in it
    sha256    TEXT NOT NULL           -- of its body, hexadecimal
) STRICT, WITHOUT ROWID;

-- Agent events: a row for each line of an agent's record. The columns from kind on are derived from the
-- line; those that its kind does not have are NULL. The same line of the same board is one event, in
-- however many messages it came.
CREATE TABLE agent_events (
    board      TEXT NOT NULL,
    at         TEXT NOT NULL,          -- the agent's wall clock; of a step, when its request arrived
    digest     TEXT NOT NULL,          -- of the line: the first 16 digits of its SHA-256, hexadecimal
    fleet      TEXT NOT NULL,
    message    TEXT NOT NULL,          -- agent_messages.id
    line       TEXT NOT NULL,          -- as the agent wrote it, without its newline
    kind       TEXT NOT NULL,          -- open, step, session, suspended, resumed, dropped or a later one
    session    TEXT,                   -- name of the session
    session_id TEXT,                   -- name with the owner of the session
    identity   TEXT,                   -- of the client's certificate; NULL: none
    client     TEXT,                   -- address of the client
    step_id    INTEGER,
    position   INTEGER,                -- steps judged in the session, this one included
    error_code INTEGER,                -- 0: passed
    reason     TEXT,
    detail     TEXT,
    fault      TEXT,                   -- injected fault; NULL: none
    replayed   INTEGER,                -- 1: a repeated request, answered from the replay cache
    generation INTEGER,                -- of the validators
    judged     REAL,                   -- seconds from the arrival to the verdict
    replied    REAL,                   -- seconds from the arrival to the reply; NULL: none was written
    verdict    TEXT,                   -- of an ended session: pass, fail or incomplete
    cause      TEXT,                   -- why it is incomplete
    steps      INTEGER,                -- steps judged in the session
    of_steps   INTEGER,                -- steps of its procedure
    passed     INTEGER,
    failed     INTEGER,
    undecided  INTEGER,
    duration   REAL,                   -- seconds
    PRIMARY KEY (board, at, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX agent_events_at ON agent_events (at, board, digest);
CREATE INDEX agent_events_session ON agent_events (session, at, board, digest) WHERE session IS NOT NULL;

CREATE TRIGGER agent_events_immutable BEFORE UPDATE ON agent_events BEGIN
    SELECT RAISE(ABORT, 'events are evidence and never change');
END;

-- Agent rejects: messages that were put aside, because they cannot be read.
CREATE TABLE agent_rejects (
    digest    TEXT PRIMARY KEY,        -- of subject, id and body: SHA-256, hexadecimal
    id        TEXT NOT NULL,           -- empty: the message had none
    subject   TEXT NOT NULL,
    sequence  INTEGER NOT NULL,        -- in the stream
    published TEXT NOT NULL,
    collected TEXT NOT NULL,
    problem   TEXT NOT NULL,
    body      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The verdicts of agents, one row a step or an ended session.
CREATE VIEW agent_steps AS
    SELECT fleet, board, at, session, session_id, identity, client, step_id, position, error_code, reason, detail, fault,
           replayed, generation, judged, replied
    FROM agent_events WHERE kind = 'step';
CREATE VIEW agent_sessions AS
    SELECT fleet, board, at, session, session_id, identity, client, verdict, cause, steps, of_steps, passed, failed,
           undecided, duration
    FROM agent_events WHERE kind = 'session';
