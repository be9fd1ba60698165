-- How much of its limits a task's run has used.

-- name: used
-- $1 run
SELECT count(*) FILTER (WHERE s.kind = 'model' AND s.state = 'done') AS iterations,
       count(*) FILTER (WHERE s.kind = 'call') AS calls,
       (SELECT extract(epoch FROM clock_timestamp() - begun_at)::float8 FROM run WHERE id = $1) AS seconds,
       (SELECT max((meta #>> '{checkpoint,percent}')::int) FROM message
        WHERE run_id = $1 AND step IS NOT NULL AND type = 'checkpoint') AS marked
FROM step s WHERE s.run_id = $1
