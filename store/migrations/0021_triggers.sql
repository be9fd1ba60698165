-- Triggers and what sets them off; targets, and the results that are delivered there.

CREATE TABLE trigger (
    id               text COLLATE "C" PRIMARY KEY,
    account_id       text COLLATE "C" NOT NULL REFERENCES account (id),
    alias            text COLLATE "C",
    name             text,
    -- what its agent is told to do with an event
    description      text,
    meta             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    bot_id           text COLLATE "C" REFERENCES bot (id) ON DELETE SET NULL,
    -- what a source shows as its bearer token, sealed
    secret           bytea NOT NULL,
    secret_key       text NOT NULL,
    -- whether a source has to show it
    authenticate     boolean NOT NULL DEFAULT true,
    -- how a source signs what it sends instead: domain/verification.py
    verification     jsonb CHECK (jsonb_typeof(verification) = 'object'),
    -- with what it signs: a JSON list of one or two, sealed
    signing          bytea,
    signing_key      text,
    -- where an event says its id, and whose events go one at a time: {header} or {pointer}
    event_id         jsonb CHECK (jsonb_typeof(event_id) = 'object'),
    ordering_key     jsonb CHECK (jsonb_typeof(ordering_key) = 'object'),
    -- milliseconds that events of one session share a conversation
    session_duration bigint CHECK (session_duration >= 0),
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((signing IS NULL) = (signing_key IS NULL)),
    CHECK ((verification IS NULL) = (signing IS NULL))
);

CREATE UNIQUE INDEX trigger_alias ON trigger (account_id, alias) WHERE alias IS NOT NULL;
CREATE INDEX trigger_list ON trigger (account_id, id);
CREATE INDEX trigger_bot ON trigger (bot_id) WHERE bot_id IS NOT NULL;

-- A trigger's own schedule is a task that nobody else sees. It is removed as every task is, before its trigger.
ALTER TABLE task ADD COLUMN trigger_id text COLLATE "C" UNIQUE REFERENCES trigger (id);

-- What set a trigger off.
CREATE TABLE trigger_event (
    id           text COLLATE "C" PRIMARY KEY,
    account_id   text COLLATE "C" NOT NULL,
    trigger_id   text COLLATE "C" NOT NULL REFERENCES trigger (id) ON DELETE CASCADE,
    source       text NOT NULL CHECK (source IN ('event', 'invoke', 'schedule', 'replay')),
    method       text,
    query        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(query) = 'object'),
    headers      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(headers) = 'object'),
    content_type text,
    -- as it came; null: its time is over, or it was removed with its conversation
    body         bytea,
    size         integer NOT NULL,
    -- SHA-256 of the body
    digest       bytea NOT NULL,
    -- who sent it
    address      text,
    -- how it was known to be its source's: `secret`, a preset of domain/verification.py, or `none`
    verified     text,
    -- what its source calls it, if it does
    provider_id  text,
    -- whether a second one of that name is the same event: for 30 days
    once         boolean NOT NULL DEFAULT true,
    ordering_key text,
    -- null: it is another event under a name that was given already, and was refused
    run_id       text COLLATE "C",
    -- the event that it is a repeat of, made by hand
    replay_of    text COLLATE "C",
    -- how often its source has sent it again
    repeats      integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (run_id IS NOT NULL OR provider_id IS NOT NULL)
);

CREATE UNIQUE INDEX trigger_event_once ON trigger_event (trigger_id, provider_id)
    WHERE provider_id IS NOT NULL AND run_id IS NOT NULL AND once;
-- One refused event is kept of all that look alike.
CREATE UNIQUE INDEX trigger_event_refused ON trigger_event (trigger_id, provider_id, digest) WHERE run_id IS NULL;
CREATE INDEX trigger_event_list ON trigger_event (trigger_id, id);
CREATE INDEX trigger_event_run ON trigger_event (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX trigger_event_age ON trigger_event (received_at);
CREATE INDEX trigger_event_bodies ON trigger_event (received_at) WHERE body IS NOT NULL;

-- The conversations that events of one session go on with, while their time lasts.
CREATE TABLE trigger_session (
    trigger_id      text COLLATE "C" NOT NULL REFERENCES trigger (id) ON DELETE CASCADE,
    -- what names the session, hashed: it may be an address of somebody
    key             bytea NOT NULL,
    conversation_id text COLLATE "C",
    begun_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trigger_id, key)
);

CREATE INDEX trigger_session_age ON trigger_session (begun_at);

ALTER TABLE run
    ADD COLUMN trigger_id text COLLATE "C",
    -- targets named by the call that asked for it
    ADD COLUMN targets text[],
    DROP CONSTRAINT run_kind_check,
    DROP CONSTRAINT run_conversation_check,
    DROP CONSTRAINT run_task_check;
ALTER TABLE run ADD CONSTRAINT run_kind_check
    CHECK (kind IN ('completion', 'turn', 'ability', 'task_run', 'trigger_event')) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_conversation_check
    CHECK ((kind IN ('turn', 'task_run', 'trigger_event')) = (conversation_id IS NOT NULL)) NOT VALID;
-- A run of a trigger has a task too where that one's schedule has set it off.
ALTER TABLE run ADD CONSTRAINT run_task_check
    CHECK (CASE kind WHEN 'task_run' THEN task_id IS NOT NULL WHEN 'trigger_event' THEN true
           ELSE task_id IS NULL END) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_trigger_check
    CHECK ((kind = 'trigger_event') = (trigger_id IS NOT NULL)) NOT VALID;

-- Where results go: of a task, of a trigger, or as a call has said it, which the next call that says the same shares.
CREATE TABLE target (
    id             text COLLATE "C" PRIMARY KEY,
    account_id     text COLLATE "C" NOT NULL REFERENCES account (id),
    task_id        text COLLATE "C" REFERENCES task (id) ON DELETE CASCADE,
    trigger_id     text COLLATE "C" REFERENCES trigger (id) ON DELETE CASCADE,
    -- SHA-256 of what a call has said
    said           bytea,
    kind           text NOT NULL CHECK (kind IN ('webhook', 'email')),
    url            text,
    -- a JSON list of pairs, sealed
    headers        bytea,
    headers_key    text,
    -- of `completed` and `failed`
    events         text[] NOT NULL,
    recipients     text[],
    subject        text,
    -- what a webhook is signed with, sealed; the one before it signs too, until its time is over
    secret         bytea,
    secret_key     text,
    previous       bytea,
    previous_key   text,
    previous_until timestamptz,
    -- attempts that failed one after another, and until when it is left alone for that
    failures       integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    open_until     timestamptz,
    -- it takes nothing any more: it said so, or an operator did
    disabled_at    timestamptz,
    disabled_code  text,
    -- whoever it belonged to names it no more
    removed_at     timestamptz,
    -- of one of calls: when it was seen last that something needs it
    seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(task_id, trigger_id, said) = 1),
    CHECK ((kind = 'webhook') = (url IS NOT NULL)),
    CHECK ((kind = 'webhook') = (secret IS NOT NULL)),
    CHECK ((kind = 'email') = (recipients IS NOT NULL)),
    CHECK ((secret IS NULL) = (secret_key IS NULL)),
    CHECK ((headers IS NULL) = (headers_key IS NULL)),
    CHECK ((previous IS NULL) = (previous_key IS NULL) AND (previous IS NULL) = (previous_until IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_code IS NULL))
);

CREATE UNIQUE INDEX target_task ON target (task_id, kind) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX target_trigger ON target (trigger_id, kind) WHERE trigger_id IS NOT NULL;
CREATE UNIQUE INDEX target_said ON target (account_id, said) WHERE said IS NOT NULL;
-- Those of calls with one URL have one secret.
CREATE INDEX target_url ON target (account_id, url) WHERE said IS NOT NULL AND url IS NOT NULL;
CREATE INDEX target_list ON target (account_id, id);
CREATE INDEX target_seen ON target (seen_at) WHERE said IS NOT NULL;

-- A result on its way to a target.
CREATE TABLE delivery (
    id           text COLLATE "C" PRIMARY KEY,
    account_id   text COLLATE "C" NOT NULL REFERENCES account (id),
    target_id    text COLLATE "C" NOT NULL REFERENCES target (id) ON DELETE CASCADE,
    -- null: a ping
    run_id       text COLLATE "C" REFERENCES run (id) ON DELETE CASCADE,
    task_id      text COLLATE "C",
    trigger_id   text COLLATE "C",
    type         text NOT NULL,
    -- what is sent, byte for byte in every attempt; null: its words were removed
    body         bytea,
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    -- it was set going so often: by its result, and then by hand
    round        integer NOT NULL DEFAULT 1 CHECK (round > 0),
    round_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- attempts of this round that have ended; `number` of an attempt counts all
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- the newest attempt's fence: see store/deliveries.sql
    fence        bigint NOT NULL DEFAULT 0,
    holder       text,
    -- when its next attempt is due
    next_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- it was due, and its target had no place for it
    waits        boolean NOT NULL DEFAULT false,
    -- of an e-mail that some got: the addresses that are still to get it
    owed         text[],
    -- of the newest attempt that failed, or why it is dead
    error_code   text,
    -- when somebody looks whether its workflow is there
    look_at      timestamptz,
    looks        integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    CHECK ((state = 'pending') = (ended_at IS NULL)),
    CHECK (state <> 'pending' OR body IS NOT NULL),
    CHECK ((state = 'pending') = (look_at IS NOT NULL))
);

CREATE INDEX delivery_list ON delivery (account_id, id);
CREATE INDEX delivery_target ON delivery (target_id, id);
CREATE INDEX delivery_run ON delivery (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX delivery_task ON delivery (task_id, id) WHERE task_id IS NOT NULL;
CREATE INDEX delivery_trigger ON delivery (trigger_id, id) WHERE trigger_id IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (account_id, id) WHERE state = 'dead';
CREATE INDEX delivery_look ON delivery (look_at) WHERE look_at IS NOT NULL;
-- Those that wait for a place of their target.
CREATE INDEX delivery_waits ON delivery (target_id, id) WHERE state = 'pending' AND waits;
CREATE INDEX delivery_age ON delivery (ended_at) WHERE state = 'delivered';

CREATE TABLE delivery_attempt (
    delivery_id text COLLATE "C" NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
    number      integer NOT NULL CHECK (number > 0),
    target_id   text COLLATE "C" NOT NULL,
    round       integer NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- null: it is under way, or nobody knows what came of it
    ended_at    timestamptz,
    -- of HTTP or SMTP
    status      integer,
    error_code  text,
    -- what was answered: chosen headers, and the first 4 KiB
    headers     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(headers) = 'object'),
    body        text,
    PRIMARY KEY (delivery_id, number)
);

CREATE INDEX delivery_attempt_open ON delivery_attempt (target_id, begun_at) WHERE ended_at IS NULL;
