-- outside a transaction
-- The runs and conversations of tasks, on tables that were there before them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_task ON run (task_id, id) WHERE task_id IS NOT NULL;
-- A task's runs in the order in which they were made: what is heard across them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_task_channel ON run (task_id, channel_id) WHERE task_id IS NOT NULL;
-- In the order in which they have their turns.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_of_task ON run (task_id, backfilled, channel_id)
    WHERE task_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_of_task_failed ON run (task_id, ended_at)
    WHERE task_id IS NOT NULL AND (state = 'failed' OR outcome = 'failure');
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_last ON run (last_run_id) WHERE last_run_id IS NOT NULL;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS run_one_in_order ON run (ordering_key)
    WHERE ordering_key IS NOT NULL AND admitted_at IS NOT NULL AND ended_at IS NULL;
-- What is scheduled waits behind the rest of its lane.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_in_line ON run
    ((lane <> 'interactive'), account_id, (lane = 'scheduled'), created_at, id)
    WHERE admitted_at IS NULL AND ended_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS run_line;
CREATE INDEX CONCURRENTLY IF NOT EXISTS conversation_task ON conversation (task_id) WHERE task_id IS NOT NULL;
ALTER TABLE run VALIDATE CONSTRAINT run_kind_check;
ALTER TABLE run VALIDATE CONSTRAINT run_lane_check;
ALTER TABLE run VALIDATE CONSTRAINT run_conversation_check;
ALTER TABLE run VALIDATE CONSTRAINT run_task_check;
