-- outside a transaction
-- Targets of calls are kept by their kinds: those with a secret for long.
CREATE INDEX CONCURRENTLY IF NOT EXISTS target_kept ON target (kind, seen_at) WHERE said IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS target_seen;
