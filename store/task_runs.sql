-- Runs of tasks. Order of the locks: bot, contact, task, conversation, run.

-- name: hold_bot
-- A bot that is exchanged at this moment may be locked after the task; then one of two transactions is tried again.
-- $1 task
SELECT b.id FROM task t JOIN bot b ON b.id = t.bot_id WHERE t.id = $1 FOR KEY SHARE OF b

-- name: hold_contact
-- $1 task
SELECT c.id FROM task t JOIN contact c ON c.id = t.contact_id WHERE t.id = $1 FOR KEY SHARE OF c

-- name: hold
-- $1 task, $2 account or null
SELECT * FROM task WHERE id = $1 AND ($2::text IS NULL OR account_id = $2) FOR NO KEY UPDATE

-- name: unfinished
-- $1 task
SELECT count(*) FROM run WHERE task_id = $1 AND ended_at IS NULL

-- name: to_end
-- $1 task
SELECT id FROM run WHERE task_id = $1 AND ended_at IS NULL ORDER BY created_at

-- name: session
-- $1 task, $2 bot, $3 how long a conversation serves
SELECT v.id FROM conversation v JOIN task t ON t.session_id = v.id
WHERE t.id = $1 AND v.bot_id IS NOT DISTINCT FROM $2 AND v.created_at > clock_timestamp() - $3::interval
FOR UPDATE OF v

-- name: begin_session
-- $1 task, $2 conversation
WITH linked AS (
    UPDATE conversation SET task_id = $1 WHERE id = $2
)
UPDATE task SET session_id = $2 WHERE id = $1

-- name: execution
-- As the task is called now.
-- $1 run, $2 task, $3 key of its occurrence or null, $4 when that was due
INSERT INTO execution (id, task_id, name, description, meta, due_key, due_at)
SELECT $1, id, name, description, meta, $3, $4 FROM task WHERE id = $2

-- name: place
-- $1 run
SELECT id AS run_id, admitted_at IS NOT NULL AS admitted,
       greatest((request::jsonb #>> '{limits,seconds}')::numeric
                - coalesce(extract(epoch FROM clock_timestamp() - begun_at), 0), 0)::float8 AS seconds
FROM run WHERE id = $1 AND ended_at IS NULL
