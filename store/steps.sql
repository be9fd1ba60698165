-- The model steps of a run: taken under a fence, written under it, done once.

-- name: state
-- $1 run, $2 ordinal
SELECT state FROM step WHERE run_id = $1 AND ordinal = $2

-- name: take
-- $1 run, $2 ordinal, $3 fence, $4 holder
INSERT INTO step (run_id, ordinal, kind, state, fence, holder, attempt, iteration)
VALUES ($1, $2, 'model', 'running', $3, $4, 1,
        1 + (SELECT count(*) FROM step WHERE run_id = $1 AND kind = 'model' AND ordinal < $2))
ON CONFLICT (run_id, ordinal) DO UPDATE
SET fence = $3, holder = $4, attempt = step.attempt + (step.fence < $3)::int, state = 'running', ended_at = NULL
WHERE step.state <> 'done' AND (step.fence < $3 OR (step.fence = $3 AND step.holder = $4))
RETURNING iteration, attempt, xmax <> 0 AS again

-- name: overdue
-- How long ago the task of a run was due. What is later than catch-up and jitter allow, a day and an hour, was made up
-- for by hand, and is left out.
-- $1 run
SELECT extract(epoch FROM clock_timestamp() - due_at)::float8 FROM execution
WHERE id = $1 AND created_at - due_at < interval '25 hours'

-- name: forget_tokens
-- An earlier attempt's rows are superseded: nobody who comes later shall see them.
-- $1 channel, $2 ordinal
DELETE FROM token WHERE channel_id = $1 AND step = $2

-- name: forget_events
-- $1 channel, $2 ordinal
DELETE FROM event WHERE channel_id = $1 AND step = $2

-- name: fence_channel
-- A run that only waited goes on.
-- $1 channel, $2 ordinal, $3 attempt, $4 fence
WITH going AS (
    UPDATE run SET parked_at = NULL, short_at = NULL
    WHERE id = (SELECT run_id FROM channel WHERE id = $1) AND parked_at IS NOT NULL
    RETURNING id
), heard AS (
    DELETE FROM unheard USING going WHERE unheard.run_id = going.id
)
UPDATE channel SET step = $2, attempt = $3, fence = $4, n = 0 WHERE id = $1

-- name: ours
-- Whether this very execution finished the step.
-- $1 run, $2 ordinal, $3 fence, $4 holder
SELECT state = 'done' FROM step WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4

-- name: resume
-- What is to be done after a run's newest answer. `next` is a model step that was begun, or the one after all.
-- $1 run
SELECT coalesce(min(s.ordinal) FILTER (WHERE s.kind = 'model' AND s.state <> 'done'), max(s.ordinal) + 1) AS next,
       coalesce(array_agg(s.ordinal ORDER BY s.ordinal)
                FILTER (WHERE c.kind = 'ability' AND c.response_id IS NULL), '{}') AS calls,
       coalesce(bool_or(c.deadline IS NOT NULL AND c.response_id IS NULL), false) AS waits
FROM step s LEFT JOIN call c ON c.run_id = s.run_id AND c.ordinal = s.ordinal
WHERE s.run_id = $1

-- name: lock
-- $1 run
SELECT id FROM run WHERE id = $1 FOR NO KEY UPDATE

-- name: cuts
-- How many answers of a run were cut at their greatest length.
-- $1 run
SELECT count(*) FROM step WHERE run_id = $1 AND kind = 'model' AND state = 'done' AND reason = 'length'

-- name: fail
-- $1 run, $2 ordinal, $3 fence, $4 holder, $5 error code, $6 error message, $7 tokens spent
-- Returns the failures so far; a repeat by the same holder counts none, and its tokens once.
WITH noted AS (
    UPDATE step SET state = 'failed', failures = failures + 1, error_code = $5, error_message = $6,
                    ended_at = clock_timestamp()
    WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND state = 'running'
    RETURNING failures
), wasted AS (
    UPDATE run SET wasted_tokens = wasted_tokens + $7 WHERE id = $1 AND $7::bigint > 0 AND EXISTS (SELECT FROM noted)
)
SELECT failures FROM noted
UNION ALL
SELECT failures FROM step
WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND NOT EXISTS (SELECT FROM noted)
