-- outside a transaction
-- The runs of triggers, on tables that were there before them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_trigger ON run (trigger_id, id) WHERE trigger_id IS NOT NULL;
-- What a trigger's removal ends, as run_of_task.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_of_trigger ON run (trigger_id, channel_id)
    WHERE trigger_id IS NOT NULL AND ended_at IS NULL;
-- Events that go one at a time, in the order in which they have their turns.
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_in_order ON run (ordering_key, channel_id)
    WHERE ordering_key IS NOT NULL AND trigger_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_targets ON run USING gin (targets) WHERE targets IS NOT NULL AND ended_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_trigger_refused ON audit (at) WHERE type = 'trigger.refused';
ALTER TABLE run VALIDATE CONSTRAINT run_kind_check;
ALTER TABLE run VALIDATE CONSTRAINT run_conversation_check;
ALTER TABLE run VALIDATE CONSTRAINT run_task_check;
ALTER TABLE run VALIDATE CONSTRAINT run_trigger_check;
