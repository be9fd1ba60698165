-- Runs that set off triggers.

-- name: read
-- $1 trigger
SELECT g.*, t.id AS task_id, t.schedule, t.timezone
FROM trigger g JOIN task t ON t.trigger_id = g.id WHERE g.id = $1 FOR KEY SHARE OF g
