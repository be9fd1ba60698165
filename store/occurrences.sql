-- The ledger of tasks' occurrences; its writers hold the task's row.

-- name: now
SELECT clock_timestamp()

-- name: excluded
-- $1 task
SELECT key FROM occurrence WHERE task_id = $1 AND state = 'excluded' AND at > clock_timestamp() - interval '1 day'

-- name: undecided
-- Whether there is anything to decide up to an instant. What was decided stays so.
-- $1 task, $2 until
SELECT true FROM task WHERE id = $1
    AND (next_at <= $2 OR EXISTS (SELECT FROM occurrence WHERE task_id = $1 AND state = 'due' AND at <= $2))

-- name: expect
-- $1 task, $2 keys, $3 instants
INSERT INTO occurrence (task_id, key, at, state)
SELECT $1, key, at, 'due' FROM unnest($2::text[], $3::timestamptz[]) AS found (key, at)
ON CONFLICT DO NOTHING

-- name: go_on
-- A date that is over is no schedule any more (contract §6.1), and Temporal has to forget it.
-- $1 task, $2 the first occurrence after the ledger, $3 whether a date is over
UPDATE task SET next_at = $2,
    schedule = CASE WHEN $3 THEN NULL ELSE schedule END,
    revision = revision + $3::boolean::int,
    untold_at = CASE WHEN $3 THEN clock_timestamp() ELSE untold_at END
WHERE id = $1

-- name: due
-- $1 task, $2 until, $3 how many, $4 after which somebody should have fired it
SELECT key, at, at < clock_timestamp() - $4::interval AS overdue FROM occurrence WHERE task_id = $1 AND state = 'due' AND at <= $2 ORDER BY at, key LIMIT $3

-- name: pass_over
-- Returns how many.
-- $1 task, $2 until
WITH paused AS (
    UPDATE occurrence SET state = 'paused', decided_at = clock_timestamp()
    WHERE task_id = $1 AND state = 'due' AND at <= $2
    RETURNING key
)
SELECT count(*) FROM paused

-- name: late
-- What is due and neither in time nor later than any may be, in order.
-- $1 task, $2 until, $3 how late each may be, $4 how late none may be
SELECT at, clock_timestamp() - at AS late FROM occurrence
WHERE task_id = $1 AND state = 'due' AND at <= $2
  AND at < clock_timestamp() - $3::interval AND at >= clock_timestamp() - $4::interval
ORDER BY at

-- name: pass_over_late
-- Returns how many.
-- $1 task, $2 until, $3 how late none may run, $4 instants of those that are too late sooner
WITH missed AS (
    UPDATE occurrence SET state = 'missed', decided_at = clock_timestamp()
    WHERE task_id = $1 AND state = 'due' AND at <= $2
      AND (at < clock_timestamp() - $3::interval OR at IN (SELECT unnest($4::timestamptz[])))
    RETURNING key
)
SELECT count(*) FROM missed

-- name: become
-- $1 task, $2 key, $3 state, $4 reason
UPDATE occurrence SET state = $3, reason = $4, decided_at = clock_timestamp() WHERE task_id = $1 AND key = $2

-- name: ran
-- $1 task, $2 key, $3 run, $4 whether nobody had fired it
UPDATE occurrence SET state = 'ran', reason = NULL, run_id = $3, healed = $4, decided_at = clock_timestamp()
WHERE task_id = $1 AND key = $2

-- name: has_run
-- $1 task, $2 instant, $3 workflow
SELECT true FROM occurrence o JOIN run r ON r.id = o.run_id
WHERE o.task_id = $1 AND o.at = $2 AND r.workflow_id = $3 LIMIT 1

-- name: place
-- $1 task, $2 instant, $3 workflow
SELECT r.id AS run_id, r.admitted_at IS NOT NULL AS admitted,
       greatest((r.request::jsonb #>> '{limits,seconds}')::numeric
                - coalesce(extract(epoch FROM clock_timestamp() - r.begun_at), 0), 0)::float8 AS seconds
FROM occurrence o JOIN run r ON r.id = o.run_id
WHERE o.task_id = $1 AND o.at = $2 AND r.workflow_id = $3 AND r.ended_at IS NULL

-- name: pause_on_failure
-- The newest is named; those before the last resumption had their pause.
-- $1 task
UPDATE task SET paused_at = clock_timestamp(), note = 'Paused by a failure of its run ' || failed.id || '.',
                revision = revision + 1, untold_at = clock_timestamp()
FROM (
    SELECT id FROM run
    WHERE task_id = $1 AND ended_at > (SELECT resumed_at FROM task WHERE id = $1)
      AND (state = 'failed' OR outcome = 'failure')
    ORDER BY ended_at DESC LIMIT 1
) failed
WHERE task.id = $1
RETURNING paused_at

-- name: tell
-- $1 entry, $2 account, $3 act, $4 what it is about, $5 how many occurrences
INSERT INTO audit (id, account_id, type, about, meta) VALUES ($1, $2, $3, $4, jsonb_build_object('occurrences', $5::bigint))
