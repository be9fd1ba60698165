-- Executions: what is seen of a task's runs.

-- name: owned_task
-- $1 account, $2 task
SELECT id FROM task WHERE id = $2 AND account_id = $1 AND trigger_id IS NULL

-- name: owned
-- $1 account, $2 task, $3 execution
SELECT e.id FROM execution e JOIN task t ON t.id = e.task_id
WHERE e.id = $3 AND e.task_id = $2 AND t.account_id = $1 AND t.trigger_id IS NULL

-- name: list
-- Rows come until they have so many bytes, and at least one. A run that waits for several times goes on after the last.
-- $1 task, $2 after, $3 take, $4 meta, $5 status or null, $6 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT * FROM (
            SELECT e.id, e.task_id, e.name, e.description, e.meta, e.summary, e.due_key AS occurrence_id, e.due_at,
                   e.created_at, greatest(e.created_at, r.begun_at, r.ended_at) AS updated_at, r.conversation_id,
                   r.ended_at AS completed_at,
                   CASE WHEN r.state IN ('canceled', 'interrupted', 'rolled_back') THEN 'canceled'
                        WHEN r.begun_at IS NOT NULL AND r.ended_at IS NULL THEN 'running' ELSE 'idle' END AS status,
                   CASE WHEN r.ended_at IS NULL THEN 'pending'
                        WHEN r.state = 'succeeded' THEN coalesce(r.outcome, 'success') ELSE 'failure' END AS outcome,
                   CASE WHEN r.parked_at IS NOT NULL THEN (
                       SELECT max(c.deadline) FROM call c
                       WHERE c.run_id = r.id AND c.kind = 'settle' AND c.response_id IS NULL
                   ) END AS resume_at,
                   coalesce(octet_length(e.name), 0) + coalesce(octet_length(e.description), 0)
                   + coalesce(octet_length(e.summary), 0) + octet_length(e.meta::text) AS bytes
            FROM execution e JOIN run r ON r.id = e.id
            WHERE e.task_id = $1 AND e.id /* after */ < $2 AND e.meta @> $4
        ) AS told
        WHERE $5::text IS NULL OR status = $5
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $6 ORDER BY id DESC
