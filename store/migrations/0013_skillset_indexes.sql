-- outside a transaction
-- Who has a skillset that is removed, on tables that were there before it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS bot_skillset ON bot (skillset_id) WHERE skillset_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS conversation_skillset ON conversation (skillset_id)
    WHERE skillset_id IS NOT NULL;
