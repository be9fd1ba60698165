-- outside a transaction
-- Targets of calls are kept by their kinds: those with a secret for long.
CREATE INDEX CONCURRENTLY IF NOT EXISTS target_kept ON target (kind, seen_at) WHERE said IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS target_seen;
-- Not by look_at itself: whoever asks for one target's would be given delivery_look, and a crowd to read.
CREATE INDEX CONCURRENTLY IF NOT EXISTS delivery_look_of
    ON delivery (target_id, (look_at AT TIME ZONE 'UTC')) WHERE look_at IS NOT NULL;
