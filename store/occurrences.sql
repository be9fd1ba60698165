-- The ledger of tasks' occurrences; its writers hold the task's row.

-- name: hold_bot
-- $1 task
SELECT b.id FROM task t JOIN bot b ON b.id = t.bot_id WHERE t.id = $1 FOR KEY SHARE OF b

-- name: hold_contact
-- $1 task
SELECT c.id FROM task t JOIN contact c ON c.id = t.contact_id WHERE t.id = $1 FOR KEY SHARE OF c

-- name: hold
-- $1 task, $2 account or null
SELECT * FROM task WHERE id = $1 AND ($2::text IS NULL OR account_id = $2) FOR NO KEY UPDATE

-- name: excluded
-- $1 task
SELECT key FROM occurrence WHERE task_id = $1 AND state = 'excluded' AND at > clock_timestamp() - interval '1 day'

-- name: expect
-- $1 task, $2 keys, $3 instants
INSERT INTO occurrence (task_id, key, at, state)
SELECT $1, key, at, 'due' FROM unnest($2::text[], $3::timestamptz[]) AS found (key, at)
ON CONFLICT DO NOTHING

-- name: go_on
-- $1 task, $2 the first occurrence after the ledger
UPDATE task SET next_at = $2 WHERE id = $1
