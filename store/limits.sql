-- Runs that wait their turn.

-- name: waiting_of_account
-- $1 account, $2 how far to count
SELECT count(*) FROM (
    SELECT FROM run
    WHERE (lane <> 'interactive') IN (false, true) AND account_id = $1 AND admitted_at IS NULL AND ended_at IS NULL
    LIMIT $2
) counted

-- name: waiting_of_conversation
-- $1 conversation, $2 how far to count
SELECT count(*) FROM (
    SELECT FROM run WHERE conversation_id = $1 AND admitted_at IS NULL AND ended_at IS NULL LIMIT $2
) counted
