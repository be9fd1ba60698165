-- What people see of a task's occurrences and do to them; whoever changes one holds the task's row.

-- name: now
SELECT clock_timestamp()

-- name: task
-- $1 account, $2 task
SELECT * FROM task WHERE id = $2 AND account_id = $1 AND trigger_id IS NULL

-- name: list
-- One that ran was late when its run was accepted or begun so long after; of a run that is gone its acceptance tells.
-- $1 task, $2 and $3 after, $4 since, $5 until, $6 take, $7 how long
SELECT o.key AS id, o.task_id, o.at,
       CASE WHEN o.state = 'ran' AND greatest(o.decided_at, r.begun_at) > o.at + $7::interval THEN 'late'
            ELSE o.state END AS state,
       o.reason, o.run_id AS execution_id, r.begun_at AS started_at, o.decided_at, o.healed,
       CASE WHEN r.id IS NULL THEN NULL WHEN r.ended_at IS NULL THEN 'pending'
            WHEN r.state = 'succeeded' THEN coalesce(r.outcome, 'success') ELSE 'failure' END AS outcome
FROM occurrence o LEFT JOIN run r ON r.id = o.run_id
WHERE o.task_id = $1 AND (o.at, o.key) /* after */ < ($2, $3) AND o.at >= $4 AND o.at <= $5
ORDER BY o.at DESC, o.key DESC LIMIT $6

-- name: named
-- $1 task, $2 key
SELECT key, at, state FROM occurrence WHERE task_id = $1 AND key = $2

-- name: at
-- $1 task, $2 instant
SELECT key, at, state FROM occurrence WHERE task_id = $1 AND at = $2

-- name: written
-- Of those to come, only what was taken out is in the ledger.
-- $1 task, $2 since
SELECT key FROM occurrence WHERE task_id = $1 AND at >= $2

-- name: exclude
-- $1 task, $2 key, $3 instant
INSERT INTO occurrence (task_id, key, at, state, decided_at) VALUES ($1, $2, $3, 'excluded', clock_timestamp())

-- name: include
-- $1 task, $2 key
DELETE FROM occurrence WHERE task_id = $1 AND key = $2 AND state = 'excluded'

-- name: move
-- Temporal has a schedule of a task that is due some time, and is told where that changes.
-- $1 task, $2 next instant
UPDATE task SET next_at = $2,
    revision = revision + (($2::timestamptz IS NULL) <> (next_at IS NULL))::int,
    untold_at = CASE WHEN ($2 IS NULL) <> (next_at IS NULL) THEN clock_timestamp() ELSE untold_at END
WHERE id = $1

-- name: pause
-- $1 task, $2 note, $3 when
UPDATE task SET paused_at = $3, note = $2, revision = revision + 1,
    untold_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = $1

-- name: resume
-- $1 task, $2 note, $3 when
UPDATE task SET paused_at = NULL, resumed_at = $3, note = $2, revision = revision + 1,
    untold_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = $1

-- name: note
-- $1 task, $2 note
UPDATE task SET note = $2, updated_at = clock_timestamp() WHERE id = $1
