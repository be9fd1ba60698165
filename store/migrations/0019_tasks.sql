-- Tasks: saved agent jobs, when they are due, what became of each time, and their executions.

CREATE TABLE task (
    id               text COLLATE "C" PRIMARY KEY,
    account_id       text COLLATE "C" NOT NULL REFERENCES account (id),
    name             text,
    -- what its agent is told to do
    description      text,
    meta             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    bot_id           text COLLATE "C" REFERENCES bot (id) ON DELETE SET NULL,
    contact_id       text COLLATE "C" REFERENCES contact (id) ON DELETE SET NULL,
    -- when it is due, as its owner said it; durations are milliseconds
    schedule         text,
    timezone         text,
    every            bigint CHECK (every > 0),
    start_at         timestamptz,
    end_at           timestamptz,
    overlap          text NOT NULL DEFAULT 'skip'
                     CHECK (overlap IN ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'allow_all')),
    -- how late it may still run; null: one period, 2 minutes at least, a day at most
    catchup          bigint CHECK (catchup >= 0),
    jitter           bigint NOT NULL DEFAULT 0 CHECK (jitter >= 0),
    pause_on_failure boolean NOT NULL DEFAULT false,
    -- what a run of it may take, and how long one conversation serves several
    session_duration bigint CHECK (session_duration >= 0),
    max_iterations   integer CHECK (max_iterations >= 0),
    max_time         bigint CHECK (max_time >= 0),
    max_calls        integer CHECK (max_calls >= 0),
    expires_at       timestamptz,
    paused_at        timestamptz,
    -- why it is paused, or was resumed
    note             text,
    -- failures before do not pause it again
    resumed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- the first occurrence that is not in the ledger yet; null: nothing is due any more
    next_at          timestamptz,
    -- the conversation that its runs go on with, while its time lasts
    session_id       text COLLATE "C",
    -- rises with whatever Temporal has to be told
    revision         bigint NOT NULL DEFAULT 1,
    -- since when Temporal has to be told; null: it has been
    untold_at        timestamptz,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX task_list ON task (account_id, id);
CREATE INDEX task_bot ON task (bot_id) WHERE bot_id IS NOT NULL;
CREATE INDEX task_contact ON task (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX task_expires ON task (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX task_next ON task (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX task_untold ON task (untold_at) WHERE untold_at IS NOT NULL;

-- Tasks that are gone and whose schedules Temporal may still have.
CREATE TABLE task_gone (
    task_id text COLLATE "C" PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The ledger: each time a task was due, and what became of it.
CREATE TABLE occurrence (
    task_id    text COLLATE "C" NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    -- the wall and its zone, or UTC: domain.schedule.key
    key        text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    -- due: nobody has decided yet · ran: it has a run, which may wait still · excluded: taken out by hand
    state      text NOT NULL CHECK (state IN ('due', 'ran', 'skipped', 'missed', 'paused', 'excluded')),
    -- of one that was skipped
    reason     text CHECK (reason IN ('overlap', 'limit')),
    run_id     text COLLATE "C",
    decided_at timestamptz,
    -- Temporal had not fired it: the watchdog found it, or a later firing did
    healed     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (task_id, key),
    CHECK ((state = 'ran') = (run_id IS NOT NULL)),
    CHECK ((state = 'skipped') = (reason IS NOT NULL)),
    CHECK ((state = 'due') = (decided_at IS NULL))
);

CREATE INDEX occurrence_list ON occurrence (task_id, at, key);
CREATE INDEX occurrence_due ON occurrence (task_id, at) WHERE state = 'due';
CREATE INDEX occurrence_fired ON occurrence (task_id, at, key) WHERE state IN ('ran', 'missed');
-- Retention counts from here: what is to come stays, and what was backfilled.
CREATE INDEX occurrence_age ON occurrence (greatest(at, decided_at)) WHERE decided_at IS NOT NULL;

-- What is kept of a task's run for 90 days; its id is the run's.
CREATE TABLE execution (
    id          text COLLATE "C" PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    task_id     text COLLATE "C" NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    name        text,
    description text,
    meta        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    -- what its agent said of it in the end
    summary     text,
    -- the occurrence it is the run of; null: it was asked for
    due_key     text COLLATE "C",
    due_at      timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX execution_list ON execution (task_id, id);
CREATE INDEX execution_age ON execution (created_at);

ALTER TABLE conversation ADD COLUMN task_id text COLLATE "C" REFERENCES task (id) ON DELETE SET NULL;

ALTER TABLE run
    ADD COLUMN task_id text COLLATE "C",
    -- runs with the same key go one at a time, in the order in which they were accepted: admission.sql
    ADD COLUMN ordering_key text COLLATE "C",
    -- for a time that was past: it goes behind the other runs of its task
    ADD COLUMN backfilled boolean NOT NULL DEFAULT false,
    -- the run of its task whose summary its agent was told
    ADD COLUMN last_run_id text COLLATE "C",
    DROP CONSTRAINT run_kind_check,
    DROP CONSTRAINT run_lane_check,
    DROP CONSTRAINT run_check2;
ALTER TABLE run ADD CONSTRAINT run_kind_check
    CHECK (kind IN ('completion', 'turn', 'ability', 'task_run')) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_lane_check CHECK (lane IN ('interactive', 'background', 'scheduled')) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_conversation_check
    CHECK ((kind IN ('turn', 'task_run')) = (conversation_id IS NOT NULL)) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_task_check CHECK ((kind = 'task_run') = (task_id IS NOT NULL)) NOT VALID;
