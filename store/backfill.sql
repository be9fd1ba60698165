-- Runs for times that are past; whoever makes them holds the task's row.

-- name: now
SELECT clock_timestamp()

-- name: hold_key
-- $1 account, $2 route, $3 key
SELECT subject FROM idempotency WHERE account_id = $1 AND route = $2 AND key = $3 FOR UPDATE

-- name: became
-- One whose run was canceled before it began has not run.
-- $1 task, $2 keys
SELECT o.key, CASE WHEN r.state = 'canceled' AND r.begun_at IS NULL THEN 'canceled' ELSE o.state END AS state
FROM occurrence o LEFT JOIN run r ON r.id = o.run_id
WHERE o.task_id = $1 AND o.key = ANY ($2::text[])

-- name: ran
-- Those that were missed, skipped, paused or canceled have a run after all.
-- $1 task, $2 keys, $3 instants, $4 runs
INSERT INTO occurrence (task_id, key, at, state, run_id, decided_at)
SELECT $1, key, at, 'ran', run, clock_timestamp()
FROM unnest($2::text[], $3::timestamptz[], $4::text[]) AS made (key, at, run)
ON CONFLICT (task_id, key) DO UPDATE
SET state = 'ran', reason = NULL, run_id = excluded.run_id, decided_at = excluded.decided_at
