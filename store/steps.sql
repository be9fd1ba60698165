-- The steps of a run: taken under a fence, written under it, done once.

-- name: take
-- $1 run, $2 ordinal, $3 fence, $4 holder
INSERT INTO step (run_id, ordinal, kind, state, fence, holder, attempt)
VALUES ($1, $2, 'model', 'running', $3, $4, 1)
ON CONFLICT (run_id, ordinal) DO UPDATE
SET fence = $3, holder = $4, attempt = step.attempt + (step.fence < $3)::int, state = 'running', ended_at = NULL
WHERE step.state <> 'done' AND (step.fence < $3 OR (step.fence = $3 AND step.holder = $4))
RETURNING attempt, xmax <> 0 AS again

-- name: forget_tokens
-- An earlier attempt's rows are superseded: nobody who comes later shall see them.
-- $1 channel, $2 ordinal
DELETE FROM token WHERE channel_id = $1 AND step = $2

-- name: forget_events
-- $1 channel, $2 ordinal
DELETE FROM event WHERE channel_id = $1 AND step = $2

-- name: fence_channel
-- $1 channel, $2 ordinal, $3 attempt, $4 fence
UPDATE channel SET step = $2, attempt = $3, fence = $4, n = 0 WHERE id = $1

-- name: setting
-- What the model is told besides the messages.
-- $1 conversation or null, $2 bot or null, $3 contact or null
SELECT v.model, v.backstory, b.model AS bot_model, b.backstory AS bot_backstory, p.name, p.nick, p.preferences
FROM (SELECT) AS one
LEFT JOIN conversation v ON v.id = $1
LEFT JOIN bot b ON b.id = $2
LEFT JOIN contact p ON p.id = $3

-- name: transcript
-- The messages present when the turn began, then the turn's own.
-- No text at all when they have more bytes than that.
-- $1 conversation, $2 horizon, $3 run, $4 the most bytes
SELECT type, CASE WHEN sum(octet_length(text)) OVER () <= $4 THEN text END AS text
FROM message WHERE conversation_id = $1 AND (seq <= $2 OR run_id = $3) ORDER BY seq

-- name: fail
-- $1 run, $2 ordinal, $3 fence, $4 holder, $5 error code, $6 error message
-- Returns the failures so far; a repeat by the same holder counts none.
WITH noted AS (
    UPDATE step SET state = 'failed', failures = failures + 1, error_code = $5, error_message = $6,
                    ended_at = clock_timestamp()
    WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND state = 'running'
    RETURNING failures
)
SELECT failures FROM noted
UNION ALL
SELECT failures FROM step
WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND NOT EXISTS (SELECT FROM noted)
