-- What a run of a task or trigger begins with.

-- name: last
-- The newest run of its task before it that has begun and ended.
-- $1 run
SELECT l.id FROM run r JOIN run l ON l.task_id = r.task_id AND l.id < r.id
                                     AND l.begun_at IS NOT NULL AND l.ended_at IS NOT NULL
WHERE r.id = $1 ORDER BY l.id DESC LIMIT 1

-- name: hold_last
-- Whoever removes its words waits until what is told of it now is there to be removed too.
-- $1 its id
SELECT id FROM execution WHERE id = $1 FOR SHARE

-- name: details
-- The task as it is now, and what came of its run before this one. Times are ISO 8601, UTC.
-- $1 run, $2 the one before it, held
WITH told AS (
    UPDATE run SET last_run_id = $2 WHERE id = $1
)
SELECT jsonb_build_object(
    'name', t.name, 'description', t.description, 'meta', t.meta, 'timezone', coalesce(t.timezone, 'UTC'),
    'ranAt', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'dueAt', to_char(e.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'lastExecution', (
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'id', l.id,
            'ranAt', to_char(l.begun_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'outcome', CASE WHEN l.state = 'succeeded' THEN coalesce(l.outcome, 'success') ELSE 'failure' END,
            'summary', x.summary))
        FROM run l LEFT JOIN execution x ON x.id = l.id WHERE l.id = $2)
)
FROM run r JOIN task t ON t.id = r.task_id LEFT JOIN execution e ON e.id = r.id
WHERE r.id = $1

-- name: event
-- What set a trigger off, and the trigger as it is now. Times are ISO 8601, UTC.
-- $1 run
SELECT e.id AS "eventId", e.source, e.content_type AS "contentType", e.body, coalesce(k.timezone, 'UTC') AS timezone,
       to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "ranAt",
       t.name, t.description, t.meta
FROM run r LEFT JOIN trigger_event e ON e.run_id = r.id LEFT JOIN trigger t ON t.id = r.trigger_id
           LEFT JOIN task k ON k.trigger_id = t.id
WHERE r.id = $1
