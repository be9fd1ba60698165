-- Usage that outlives what was used, words that callers name bots by, and the time that conversations have.

-- What runs used is in their rows, which stay.
ALTER TABLE run ADD COLUMN messages smallint NOT NULL DEFAULT 0; -- how many it added to its conversation

-- What was used without a run: conversations begun, messages put into them. Rows are added and never changed, so
-- that calls of one account do not wait for each other; they stay when what they tell of is gone.
CREATE TABLE usage (
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    conversation_id text COLLATE "C" NOT NULL,
    bot_id text COLLATE "C",             -- the conversation's at that time
    conversations smallint NOT NULL,
    messages int NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX usage_of_account ON usage (account_id, at) INCLUDE (bot_id, conversations, messages);
CREATE INDEX usage_of_conversation ON usage (conversation_id, at) INCLUDE (conversations, messages);

-- The sums of both, of hours that are over. Upkeep folds one hour after the other.
CREATE TABLE usage_hour (
    subject text COLLATE "C" NOT NULL,   -- an account or a bot; '' is everybody, whose row says the hour is folded
    hour timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    tokens bigint NOT NULL,
    conversations bigint NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (subject, hour)
);

ALTER TABLE bot ADD COLUMN alias text COLLATE "C";
-- Not valid yet, so that no row is read under the lock.
ALTER TABLE bot ADD CONSTRAINT bot_alias_check CHECK (alias ~ '^[a-z0-9_-]{1,128}$') NOT VALID;

-- updated_at changes with every message: an index on it would make each of these updates dearer. The day of it
-- changes once a day, and finds the few whose updated_at is worth a look.
ALTER TABLE conversation
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN touched_on date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date;
