-- What the runs of a task came to, over time. A period has its beginning and not its end.

-- name: owned
-- $1 account, $2 task
SELECT id FROM task WHERE id = $2 AND account_id = $1 AND trigger_id IS NULL

-- name: figures
-- First, without a day, those of the whole period; then each of its days in UTC, those without runs too.
-- They are worked out once, which the planner would not do by itself; the account is there for its index by time.
-- $1 account, $2 task, $3 beginning, $4 end
WITH ended AS (
    SELECT date_trunc('day', ended_at, 'UTC') AS day, input_tokens + output_tokens AS tokens,
           CASE WHEN state IN ('canceled', 'interrupted', 'rolled_back') THEN 'canceled'
                WHEN state = 'succeeded' THEN coalesce(outcome, 'success') ELSE 'failure' END AS became,
           extract(epoch FROM ended_at - begun_at)::float8 * 1000 AS took
    FROM run WHERE account_id = $1 AND task_id = $2 AND ended_at >= $3 AND ended_at < $4
), figures AS MATERIALIZED (
    SELECT day, count(*) AS runs, count(*) FILTER (WHERE became = 'success') AS success,
           count(*) FILTER (WHERE became = 'failure') AS failure, count(*) FILTER (WHERE became = 'canceled') AS canceled,
           coalesce(sum(tokens), 0)::bigint AS tokens,
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY took))::bigint AS p50,
           round(percentile_cont(0.95) WITHIN GROUP (ORDER BY took))::bigint AS p95
    FROM ended GROUP BY GROUPING SETS ((day), ())
), calendar AS (
    SELECT NULL::timestamptz AS day
    UNION ALL
    SELECT generate_series(date_trunc('day', $3::timestamptz, 'UTC'), $4::timestamptz - interval '1 microsecond',
                           interval '24 hours')
)
SELECT c.day, coalesce(f.runs, 0) AS runs, coalesce(f.success, 0) AS success, coalesce(f.failure, 0) AS failure,
       coalesce(f.canceled, 0) AS canceled, coalesce(f.tokens, 0) AS tokens, f.p50, f.p95
FROM calendar c LEFT JOIN figures f ON f.day IS NOT DISTINCT FROM c.day
ORDER BY c.day NULLS FIRST
