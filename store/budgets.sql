-- What runs may spend. A run is locked wherever its figures are changed; see held.sql for the order.

-- name: owned
-- $1 account, $2 run
SELECT id FROM run WHERE id = $2 AND account_id = $1

-- name: set
-- Of a run that waits for it, the plan is to be told, and looked for soon should it be lost.
-- $1 run, $2 tokens
WITH told AS (
    INSERT INTO unheard (run_id) SELECT id FROM run WHERE id = $1 AND short_at IS NOT NULL
    ON CONFLICT (run_id) DO UPDATE SET at = clock_timestamp()
)
UPDATE run SET budget = $2,
    next_look_at = CASE WHEN short_at IS NOT NULL THEN clock_timestamp() + interval '2 seconds' ELSE next_look_at END,
    looks = CASE WHEN short_at IS NOT NULL THEN 0 ELSE looks END
WHERE id = $1

-- name: on_budget
-- $1 bot or null
SELECT on_budget FROM bot WHERE id = $1

-- name: let_go
-- Nobody works at a step whose run waits or ends; a later attempt may take it.
-- $1 run, $2 ordinal
UPDATE step SET state = 'failed', error_code = coalesce(error_code, 'WORKER_LOST'), ended_at = clock_timestamp()
WHERE run_id = $1 AND ordinal = $2 AND state = 'running'

-- name: park
-- Its place is free for another.
-- $1 run
WITH heard AS (
    DELETE FROM unheard WHERE run_id = $1
)
UPDATE run SET parked_at = coalesce(parked_at, clock_timestamp()), short_at = coalesce(short_at, clock_timestamp())
WHERE id = $1
RETURNING pg_notify('holdfast_end', '')

-- name: streamed
-- $1 run, $2 ordinal, $3 fence of the attempt that comes, $4 channel
SELECT coalesce(sum(octet_length(t.data::json ->> 'token')), 0)::bigint
FROM step s JOIN token t ON t.channel_id = $4 AND t.step = s.ordinal
WHERE s.run_id = $1 AND s.ordinal = $2 AND s.state = 'running' AND s.fence < $3

-- name: waste
-- $1 run, $2 tokens
UPDATE run SET wasted_tokens = wasted_tokens + $2 WHERE id = $1
