-- outside a transaction
-- Who waits, by lane and account, oldest first: admission takes a step of it for each account, not for each run.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_line ON run ((lane <> 'interactive'), account_id, created_at, id)
    WHERE admitted_at IS NULL AND ended_at IS NULL;
-- When each account last got a place in a lane: who got one goes to the end of the line of accounts.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_served ON run ((lane <> 'interactive'), account_id, admitted_at)
    WHERE admitted_at IS NOT NULL;
