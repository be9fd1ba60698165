-- Calls of tools: each is a step; its words are the activity messages of its run.

ALTER TABLE step DROP CONSTRAINT step_kind_check, DROP CONSTRAINT step_state_check;
ALTER TABLE step ADD CONSTRAINT step_kind_check CHECK (kind IN ('model', 'call')) NOT VALID;
-- waiting: a call nobody has taken, or that somebody else will answer
ALTER TABLE step ADD CONSTRAINT step_state_check CHECK (state IN ('waiting', 'running', 'done', 'failed')) NOT VALID;
ALTER TABLE step
    ADD COLUMN iteration integer NOT NULL DEFAULT 1,
    ADD COLUMN reason text CHECK (reason IN ('stop', 'length', 'calls')),
    -- what the model's provider wants back while the run goes on
    ADD COLUMN carry text;

CREATE TABLE call (
    run_id      text COLLATE "C" NOT NULL,
    ordinal     integer NOT NULL,
    name        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('data', 'channel', 'caller', 'ability', 'settle', 'unknown')),
    effect      text CHECK (effect IN ('idempotent', 'once')),
    -- of an ability: its id, or its place among the request's own
    source      text,
    -- where its answer is published
    channel_id  bigint REFERENCES channel (id),
    -- when waiting for its answer ends
    deadline    timestamptz,
    -- its answer ends the run
    last        boolean NOT NULL DEFAULT false,
    request_id  text COLLATE "C" NOT NULL,
    response_id text COLLATE "C",
    -- when the sweeper last told its plan to look
    nudged_at   timestamptz,
    PRIMARY KEY (run_id, ordinal),
    FOREIGN KEY (run_id, ordinal) REFERENCES step (run_id, ordinal) ON DELETE CASCADE
);

CREATE INDEX call_on_channel ON call (channel_id) WHERE channel_id IS NOT NULL AND response_id IS NULL;

-- Which channels a run's functions are answered on: what is published there and not taken goes with the run.
CREATE TABLE named_channel (
    run_id     text COLLATE "C" NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    channel_id bigint NOT NULL REFERENCES channel (id),
    PRIMARY KEY (run_id, channel_id)
);

CREATE INDEX named_channel_runs ON named_channel (channel_id);

-- The seq up to which what was published has been taken by calls.
ALTER TABLE channel ADD COLUMN taken bigint NOT NULL DEFAULT 0;

-- A stateless run keeps the messages it adds until its words are removed.
ALTER TABLE message ALTER COLUMN conversation_id DROP NOT NULL, ADD COLUMN step integer;
ALTER TABLE message ADD CONSTRAINT message_owned_check
    CHECK (conversation_id IS NOT NULL OR run_id IS NOT NULL AND step IS NOT NULL) NOT VALID;

ALTER TABLE run
    -- it only waits: for a publish, a time, a budget; it takes up no place
    ADD COLUMN parked_at timestamptz,
    -- what the agent said of its own background run
    ADD COLUMN outcome text CHECK (outcome IN ('success', 'failure'));
