-- Runs of tasks. Order of the locks: bot, contact, task, conversation, run.

-- name: hold_bot
-- A bot that is exchanged at this moment may be locked after the task; then one of two transactions is tried again.
-- $1 task
SELECT b.id FROM task t JOIN bot b ON b.id = t.bot_id WHERE t.id = $1 FOR KEY SHARE OF b

-- name: hold_contact
-- $1 task
SELECT c.id FROM task t JOIN contact c ON c.id = t.contact_id WHERE t.id = $1 FOR KEY SHARE OF c

-- name: hold
-- With an account, none that holds the schedule of a trigger.
-- $1 task, $2 account or null
SELECT * FROM task WHERE id = $1 AND ($2::text IS NULL OR account_id = $2 AND trigger_id IS NULL) FOR NO KEY UPDATE

-- name: met
-- What is made up for stands in no other run's way: it waits behind them.
-- $1 task
SELECT count(*) FROM run WHERE task_id = $1 AND NOT backfilled AND ended_at IS NULL

-- name: hold_conversation
-- $1 run
SELECT id FROM conversation WHERE id = (SELECT conversation_id FROM run WHERE id = $1) FOR UPDATE

-- name: first_backfilled
-- $1 task
SELECT id FROM run WHERE task_id = $1 AND backfilled AND ended_at IS NULL ORDER BY channel_id LIMIT 1

-- name: to_end
-- The last to have its turn first: so none that waits has it before it is ended too.
-- $1 task, $2 whether the backfilled ones too, $3 how many at most or null
SELECT id FROM run WHERE task_id = $1 AND ended_at IS NULL AND ($2::boolean OR NOT backfilled)
ORDER BY admitted_at IS NOT NULL, backfilled DESC, channel_id DESC LIMIT $3

-- name: session
-- $1 task, $2 bot, $3 contact, $4 how long a conversation serves
SELECT v.id FROM conversation v JOIN task t ON t.session_id = v.id
WHERE t.id = $1 AND v.bot_id IS NOT DISTINCT FROM $2 AND v.contact_id IS NOT DISTINCT FROM $3
  AND v.created_at > clock_timestamp() - $4::interval
FOR UPDATE OF v

-- name: begin_session
-- $1 task, $2 conversation, $3 whether other runs go on with it
WITH linked AS (
    UPDATE conversation SET task_id = $1 WHERE id = $2
)
UPDATE task SET session_id = $2 WHERE id = $1 AND $3::boolean

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
