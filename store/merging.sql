-- Calls that join a turn of their conversation, which is locked.

-- name: turn
-- The turn a call may join. `<@`: it asks for no tool, ability or limit that the turn does not have.
-- $1 conversation, $2 whether it steers, $3 what it asks, $4 whether it has words
WITH unfinished AS (
    SELECT id, request, begun_at, begins_at, accepted_seq, true AS admitted FROM run
    WHERE conversation_id = $1 AND admitted_at IS NOT NULL AND ended_at IS NULL
    UNION ALL
    SELECT id, request, begun_at, begins_at, accepted_seq, false FROM run
    -- A task's run that waits may wait for others, elsewhere.
    WHERE conversation_id = $1 AND admitted_at IS NULL AND ended_at IS NULL AND joins IS NULL AND kind = 'turn'
), first AS (
    SELECT id, request, begun_at FROM unfinished
    WHERE $2 OR (begun_at IS NULL AND begins_at > clock_timestamp())
    ORDER BY admitted DESC, accepted_seq LIMIT 1
)
SELECT id FROM first
WHERE ($4 OR begun_at IS NULL)
  AND $3::text::jsonb - '{text,timezone}'::text[] <@ request::jsonb - '{text,timezone}'::text[]

-- name: joined
-- $1 conversation, $2 the turn they join
SELECT id FROM run
WHERE conversation_id = $1 AND admitted_at IS NULL AND ended_at IS NULL AND joins = $2 ORDER BY accepted_seq

-- name: between
-- $1 channel
UPDATE channel SET step = 0, attempt = 0, fence = 0 WHERE id = $1

-- name: counted
-- A message of a call that joined is the turn's.
-- $1 run
UPDATE run SET messages = messages + 1 WHERE id = $1

-- name: go_on
-- $1 the closed channel of a merged run, $2 the channel that goes on for it, from now
UPDATE channel SET into_id = $2, from_seq = (SELECT seq FROM channel WHERE id = $2) WHERE id = $1
