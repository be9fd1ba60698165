-- What a task's run begins with.

-- name: details
-- The task as it is now, and what came of its run before this one. Times are ISO 8601, UTC.
-- $1 run
SELECT jsonb_strip_nulls(jsonb_build_object(
    'name', t.name, 'description', t.description, 'meta', t.meta, 'timezone', coalesce(t.timezone, 'UTC'),
    'ranAt', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'dueAt', to_char(e.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'lastExecution', (
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'ranAt', to_char(l.begun_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'outcome', CASE WHEN l.state = 'succeeded' THEN coalesce(l.outcome, 'success') ELSE 'failure' END,
            'summary', x.summary))
        FROM run l LEFT JOIN execution x ON x.id = l.id
        WHERE l.task_id = t.id AND l.id < r.id AND l.ended_at IS NOT NULL ORDER BY l.id DESC LIMIT 1)
))
FROM run r JOIN task t ON t.id = r.task_id LEFT JOIN execution e ON e.id = r.id
WHERE r.id = $1
