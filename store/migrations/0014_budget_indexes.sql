-- outside a transaction
-- Runs whose plans are to be told of a higher budget, on a table that was there before it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_unheard ON run (unheard_at) WHERE unheard_at IS NOT NULL;
ALTER TABLE run VALIDATE CONSTRAINT run_budget_check;
ALTER TABLE run VALIDATE CONSTRAINT run_kind_check;
ALTER TABLE bot VALIDATE CONSTRAINT bot_on_budget_check;
