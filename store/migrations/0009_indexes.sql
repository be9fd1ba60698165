-- outside a transaction
-- The indexes of sessions, usage, aliases and expiry, on tables that were there before them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_session_refused ON audit (at) WHERE type = 'session.refused';
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_usage ON run (account_id, ended_at)
    INCLUDE (bot_id, input_tokens, output_tokens, messages) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS bot_alias ON bot (account_id, alias) WHERE alias IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS conversation_expires ON conversation (expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS conversation_touched ON conversation (touched_on);
ALTER TABLE bot VALIDATE CONSTRAINT bot_alias_check;
