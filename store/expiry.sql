-- Whose time is up: the time their caller set, or, of conversations, so many days without a change.

-- name: due
-- $1 days a conversation is kept without a change, or 0 for ever, $2 how many at most of each
(
    SELECT id FROM conversation WHERE expires_at <= now() ORDER BY expires_at LIMIT $2
) UNION (
    SELECT id FROM conversation v
    WHERE $1::int > 0 AND touched_on <= ((now() - $1 * interval '24 hours') AT TIME ZONE 'UTC')::date
      AND updated_at < now() - $1 * interval '24 hours'
      AND NOT EXISTS (SELECT FROM run WHERE conversation_id = v.id AND ended_at IS NULL)
    ORDER BY touched_on LIMIT $2
)

-- name: due_tasks
-- $1 how many at most
SELECT id, account_id FROM task WHERE expires_at <= now() ORDER BY expires_at LIMIT $1

-- name: lock
-- One that somebody else holds is somebody's concern still: it is left to the next round.
-- $1 conversation
SELECT account_id FROM conversation WHERE id = $1 FOR UPDATE SKIP LOCKED

-- name: still_due
-- Asked once it is locked, and by a statement of its own, which sees what happened before that.
-- $1 conversation, $2 days or 0
SELECT coalesce(expires_at <= clock_timestamp(), false)
       OR ($2::int > 0 AND updated_at < now() - $2 * interval '24 hours'
           AND NOT EXISTS (SELECT FROM run WHERE conversation_id = v.id AND ended_at IS NULL))
FROM conversation v WHERE id = $1
