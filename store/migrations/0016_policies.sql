-- The other turn policies: what a turn said may be rolled back, and a call may join a turn that is there.

ALTER TABLE conversation
    -- until when a turn of it that has not begun takes in the calls that come
    ADD COLUMN gathers_until timestamptz,
    DROP CONSTRAINT conversation_on_busy_check;
ALTER TABLE conversation ADD CONSTRAINT conversation_on_busy_check
    CHECK (on_busy IN ('reject', 'enqueue', 'interrupt', 'rollback', 'steer')) NOT VALID;

ALTER TABLE run
    -- not before: it takes in the calls that come until then
    ADD COLUMN begins_at timestamptz,
    -- the turn it is to be merged into, before that asks its model again; it has its own turn if that ends first
    ADD COLUMN joins text COLLATE "C",
    ADD COLUMN merged_into text COLLATE "C",
    DROP CONSTRAINT run_state_check;
ALTER TABLE run ADD CONSTRAINT run_state_check
    CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled', 'interrupted', 'rolled_back', 'merged'))
    NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_joins_check
    CHECK (joins IS NULL OR (state = 'queued' AND admitted_at IS NULL)) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_merged_check
    CHECK ((state = 'merged') = (merged_into IS NOT NULL)) NOT VALID;

-- A merged run's channel goes on with the events of another one after this seq.
ALTER TABLE channel
    ADD COLUMN into_id bigint REFERENCES channel (id),
    ADD COLUMN from_seq bigint;
ALTER TABLE channel ADD CONSTRAINT channel_into_check CHECK ((into_id IS NULL) = (from_seq IS NULL)) NOT VALID;

-- Rolled back: neither lists nor models see it.
ALTER TABLE message ADD COLUMN hidden boolean NOT NULL DEFAULT false;
