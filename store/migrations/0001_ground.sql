-- The ground: accounts, resources, conversations, runs and the event log.
-- Ids are text with a type prefix and a time-ordered part, compared bytewise.

CREATE TABLE account (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,          -- SHA-256 of the key; the key itself is shown once and not kept
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX api_key_account ON api_key (account_id);

CREATE TABLE bot (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    name text,
    description text,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    model text,
    backstory text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bot_list ON bot (account_id, id);

CREATE TABLE contact (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    name text,
    description text,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    fingerprint text NOT NULL,
    email text,
    phone text,
    nick text,
    preferences text,
    verified_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, fingerprint)
);
CREATE INDEX contact_list ON contact (account_id, id);

CREATE TABLE conversation (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    name text,
    description text,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    bot_id text COLLATE "C" REFERENCES bot ON DELETE SET NULL,
    contact_id text COLLATE "C" REFERENCES contact ON DELETE SET NULL,
    model text,
    backstory text,
    on_busy text CHECK (on_busy IN ('reject', 'enqueue', 'interrupt')),
    messages bigint NOT NULL DEFAULT 0,  -- the seq of the newest message
    accepted bigint NOT NULL DEFAULT 0,  -- the accepted_seq of the newest run
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX conversation_list ON conversation (account_id, id);
CREATE INDEX conversation_bot ON conversation (bot_id) WHERE bot_id IS NOT NULL;
CREATE INDEX conversation_contact ON conversation (contact_id) WHERE contact_id IS NOT NULL;

-- One conversation's messages, in the order of seq.
CREATE TABLE message (
    id text COLLATE "C" PRIMARY KEY,
    conversation_id text COLLATE "C" NOT NULL REFERENCES conversation ON DELETE CASCADE,
    seq bigint NOT NULL,
    key text NOT NULL,                   -- what makes a second insert of the same message harmless
    type text NOT NULL CHECK (type IN ('user', 'bot', 'reasoning', 'context', 'instruction', 'backstory',
                                       'activity', 'checkpoint')),
    text text NOT NULL,
    name text,
    description text,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    run_id text COLLATE "C",             -- the run that added it, if one did
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (conversation_id, seq),
    UNIQUE (conversation_id, key)
);

-- What a live listener reads: one row per channel, its events in event and token.
-- The row is the lock of its log and carries the fence of the step that writes to it.
CREATE TABLE channel (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    name text COLLATE "C" NOT NULL,
    run_id text COLLATE "C",             -- null: clients publish here
    open boolean NOT NULL DEFAULT true,
    deleted boolean NOT NULL DEFAULT false, -- a tombstone: readers get NOT_FOUND
    emptied boolean NOT NULL DEFAULT false, -- its events have expired
    seq bigint NOT NULL DEFAULT 0,       -- the seq given last
    step int NOT NULL DEFAULT 0,         -- the step that writes now …
    attempt int NOT NULL DEFAULT 0,      -- … in this attempt …
    fence bigint NOT NULL DEFAULT 0,     -- … under this fence …
    n bigint NOT NULL DEFAULT 0,         -- … having logged this many events
    touched_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    UNIQUE (account_id, name),
    CHECK (open = (closed_at IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX channel_closed ON channel (closed_at) WHERE closed_at IS NOT NULL AND NOT emptied;

CREATE TABLE event (
    channel_id bigint NOT NULL,
    seq bigint NOT NULL,
    step int NOT NULL,
    attempt int NOT NULL,
    type text NOT NULL,
    data text NOT NULL,                  -- ASCII JSON, rendered once
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel_id, seq)
);

CREATE INDEX event_published ON event (at) WHERE type = 'published';

-- Tokens are many and short-lived: their days are dropped whole.
CREATE TABLE token (
    channel_id bigint NOT NULL,
    seq bigint NOT NULL,
    step int NOT NULL,
    attempt int NOT NULL,
    type text NOT NULL,
    data text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel_id, seq, at)
) PARTITION BY RANGE (at);

-- One accepted piece of work, and its plan in Temporal.
CREATE TABLE run (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    kind text NOT NULL CHECK (kind IN ('completion', 'turn')),
    lane text NOT NULL CHECK (lane IN ('interactive', 'background')),
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled', 'interrupted')),
    conversation_id text COLLATE "C",    -- kept as a plain id when the conversation is gone
    bot_id text COLLATE "C",
    contact_id text COLLATE "C",
    channel_id bigint NOT NULL REFERENCES channel,
    workflow_id text NOT NULL,
    accepted_seq bigint,                 -- its place in the conversation's line
    begun_seq bigint,                    -- the newest message its model sees, besides its own
    request text,                        -- the words that were asked; null once they are kept elsewhere
    fingerprint bytea NOT NULL,          -- keyed hash of route and parsed body
    keyed boolean NOT NULL,              -- the caller brought a key: keep the answer a while
    created_at timestamptz NOT NULL DEFAULT now(),
    admitted_at timestamptz,             -- null: waits its turn; set: must be started
    next_look_at timestamptz,            -- when the sweeper next looks after its plan
    looks int NOT NULL DEFAULT 0,
    begun_at timestamptz,
    ended_at timestamptz,
    untold_at timestamptz,               -- ended here, and its plan has not been told yet
    end_reason text CHECK (end_reason IN ('stop', 'length', 'activity', 'iteration', 'abort', 'error')),
    error_code text,
    error_message text,
    message_id text COLLATE "C",         -- the assistant message it ended with
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    scrub_at timestamptz,                -- stateless: when what it asked and answered is removed
    CHECK ((state IN ('queued', 'running')) = (ended_at IS NULL)),
    CHECK (state <> 'running' OR begun_at IS NOT NULL),
    CHECK ((kind = 'turn') = (conversation_id IS NOT NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX run_one_at_a_time ON run (conversation_id)
    WHERE admitted_at IS NOT NULL AND ended_at IS NULL;
CREATE INDEX run_active ON run (account_id, lane) WHERE admitted_at IS NOT NULL AND ended_at IS NULL;
CREATE INDEX run_waiting ON run (conversation_id, accepted_seq) WHERE admitted_at IS NULL AND ended_at IS NULL;
CREATE INDEX run_look ON run (next_look_at) WHERE admitted_at IS NOT NULL AND ended_at IS NULL;
CREATE INDEX run_untold ON run (untold_at) WHERE untold_at IS NOT NULL;
CREATE INDEX run_scrub ON run (scrub_at) WHERE scrub_at IS NOT NULL;
CREATE INDEX run_list ON run (account_id, id);
CREATE INDEX run_conversation ON run (conversation_id, created_at) WHERE conversation_id IS NOT NULL;

-- A model call or, later, a tool call: done at most once, by the attempt that holds its fence.
CREATE TABLE step (
    run_id text COLLATE "C" NOT NULL REFERENCES run ON DELETE CASCADE,
    ordinal int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('model')),
    state text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    fence bigint NOT NULL,               -- the attempt's scheduled time in µs × 1000 + its number
    holder text NOT NULL,                -- which execution of that attempt
    attempt int NOT NULL,                -- how often it was begun, for readers
    model text,
    error_code text,
    error_message text,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (run_id, ordinal)
);

-- What a caller's Idempotency-Key stands for.
CREATE TABLE idempotency (
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    subject text NOT NULL,               -- the id made under this key
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, route, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
