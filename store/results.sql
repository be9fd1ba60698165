-- Deliveries, made with the end of their run, whose row is held.

-- name: now
SELECT clock_timestamp()

-- name: targets
-- Who wants to be told of a run's end.
-- $1 run, $2 `completed` or `failed`
SELECT t.id, t.kind FROM run r JOIN target t ON t.account_id = r.account_id AND t.removed_at IS NULL AND $2 = ANY (t.events)
 AND (r.kind = 'task_run' AND t.task_id = r.task_id OR t.trigger_id = r.trigger_id OR t.id = ANY (r.targets))
WHERE r.id = $1

-- name: send
-- $1 run, $2 type, $3 ids, $4 targets, $5 bodies
WITH made AS (
    INSERT INTO delivery (id, account_id, target_id, run_id, task_id, trigger_id, type, body, look_at)
    SELECT d.id, r.account_id, d.target_id, r.id, CASE WHEN r.kind = 'task_run' THEN r.task_id END, r.trigger_id, $2, d.body,
           clock_timestamp()
    FROM run r, unnest($3::text[], $4::text[], $5::bytea[]) AS d (id, target_id, body)
    WHERE r.id = $1
    RETURNING id
)
SELECT pg_notify('holdfast_delivery', '') FROM made LIMIT 1

-- name: hand_on
-- $1 run, $2 the one that answers for it
UPDATE run SET targets = (SELECT array_agg(DISTINCT id) FROM unnest(run.targets || merged.targets) AS id)
FROM run merged WHERE run.id = $2 AND merged.id = $1 AND merged.targets IS NOT NULL
