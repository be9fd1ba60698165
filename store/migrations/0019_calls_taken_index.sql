-- outside a transaction
-- What upkeep looks for, on a table that was there before.
CREATE INDEX CONCURRENTLY IF NOT EXISTS call_taken ON call (run_id) WHERE taken IS NOT NULL;
