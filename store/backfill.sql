-- Runs for times that are past; whoever makes them holds the task's row.

-- name: now
SELECT clock_timestamp()

-- name: became
-- $1 task, $2 keys
SELECT key, state FROM occurrence WHERE task_id = $1 AND key = ANY ($2::text[])

-- name: ran
-- Those that were missed, skipped or paused have a run after all.
-- $1 task, $2 keys, $3 instants, $4 runs
INSERT INTO occurrence (task_id, key, at, state, run_id, decided_at)
SELECT $1, key, at, 'ran', run, clock_timestamp()
FROM unnest($2::text[], $3::timestamptz[], $4::text[]) AS made (key, at, run)
ON CONFLICT (task_id, key) DO UPDATE
SET state = 'ran', reason = NULL, run_id = excluded.run_id, decided_at = excluded.decided_at
