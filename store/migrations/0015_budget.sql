-- Budgets of tokens, and runs that are one call of an ability.

ALTER TABLE run
    -- tokens it may spend before it waits for more, or ends
    ADD COLUMN budget bigint,
    -- those of attempts that failed: spent, and no usage
    ADD COLUMN wasted_tokens bigint NOT NULL DEFAULT 0,
    -- since when its budget is spent and it waits for more
    ADD COLUMN short_at timestamptz,
    ADD CONSTRAINT run_budget_check CHECK (budget > 0) NOT VALID,
    DROP CONSTRAINT run_kind_check,
    ADD CONSTRAINT run_kind_check CHECK (kind IN ('completion', 'turn', 'ability')) NOT VALID;

-- Runs that have a higher budget and whose plans may not have heard of it; a table, for they are few among many.
CREATE TABLE unheard (
    run_id text COLLATE "C" PRIMARY KEY REFERENCES run ON DELETE CASCADE,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE bot
    -- what becomes of its runs whose budget is spent; null is wait
    ADD COLUMN on_budget text,
    ADD CONSTRAINT bot_on_budget_check CHECK (on_budget IN ('wait', 'end')) NOT VALID;
