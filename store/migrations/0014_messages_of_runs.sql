-- outside a transaction
-- What a run itself said and did between its request and its answer.

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS message_of_run ON message (run_id, key) WHERE step IS NOT NULL;
ALTER TABLE step VALIDATE CONSTRAINT step_kind_check;
ALTER TABLE step VALIDATE CONSTRAINT step_state_check;
ALTER TABLE message VALIDATE CONSTRAINT message_owned_check;
