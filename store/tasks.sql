-- Tasks.

-- name: now
SELECT clock_timestamp()

-- name: create
-- $1 id, $2 account, $3 name, $4 description, $5 meta, $6 bot, $7 contact, $8 schedule, $9 timezone, $10 every,
-- $11 start at, $12 end at, $13 overlap, $14 catchup, $15 jitter, $16 pause on failure, $17 session duration,
-- $18 max iterations, $19 max time, $20 max calls, $21 expires at, $22 when it is due first,
-- $23 whether Temporal has to be told, $24 the trigger whose schedule it holds or null
INSERT INTO task (id, account_id, name, description, meta, bot_id, contact_id, schedule, timezone, every, start_at,
                  end_at, overlap, catchup, jitter, pause_on_failure, session_duration, max_iterations, max_time,
                  max_calls, expires_at, next_at, untold_at, trigger_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
        CASE WHEN $23::boolean THEN clock_timestamp() END, $24)

-- name: fetch
-- How it stands is told by its runs, here and in a list. With EXISTS, a plan may read every run there is.
-- $1 account, $2 task
SELECT t.*, at_work.status, begun.begun_at AS last_run_at, CASE WHEN t.paused_at IS NULL THEN t.next_at END AS next_run_at,
       (SELECT true FROM occurrence WHERE task_id = t.id AND at = t.next_at AND state = 'excluded' LIMIT 1) AS taken_out,
       CASE WHEN at_work.status = 'running' OR ended.id IS NULL THEN 'pending'
            WHEN ended.state = 'succeeded' THEN coalesce(ended.outcome, 'success') ELSE 'failure' END AS outcome
FROM task t CROSS JOIN LATERAL (
    SELECT CASE WHEN (SELECT true FROM run WHERE task_id = t.id AND begun_at IS NOT NULL AND ended_at IS NULL LIMIT 1)
                THEN 'running' ELSE 'idle' END AS status
) at_work
LEFT JOIN run ended ON ended.id = (SELECT max(id) FROM run WHERE task_id = t.id AND ended_at IS NOT NULL)
LEFT JOIN run begun ON begun.id = (SELECT max(id) FROM run WHERE task_id = t.id AND begun_at IS NOT NULL)
WHERE t.id = $2 AND t.account_id = $1 AND t.trigger_id IS NULL

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 bots, $6 contacts, $7 statuses, $8 the most bytes but for the last row
SELECT t.*, begun.begun_at AS last_run_at, CASE WHEN t.paused_at IS NULL THEN t.next_at END AS next_run_at,
       (SELECT true FROM occurrence WHERE task_id = t.id AND at = t.next_at AND state = 'excluded' LIMIT 1) AS taken_out,
       CASE WHEN t.status = 'running' OR ended.id IS NULL THEN 'pending'
            WHEN ended.state = 'succeeded' THEN coalesce(ended.outcome, 'success') ELSE 'failure' END AS outcome
FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT task.*, status, coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM task CROSS JOIN LATERAL (
            SELECT CASE WHEN (SELECT true FROM run
                              WHERE task_id = task.id AND begun_at IS NOT NULL AND ended_at IS NULL LIMIT 1)
                        THEN 'running' ELSE 'idle' END AS status
        ) at_work
        WHERE account_id = $1 AND trigger_id IS NULL AND id /* after */ < $2 AND meta @> $4
          AND ($5::text[] IS NULL OR bot_id = ANY ($5)) AND ($6::text[] IS NULL OR contact_id = ANY ($6))
          AND ($7::text[] IS NULL OR status = ANY ($7))
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS t
LEFT JOIN run ended ON ended.id = (SELECT max(id) FROM run WHERE task_id = t.id AND ended_at IS NOT NULL)
LEFT JOIN run begun ON begun.id = (SELECT max(id) FROM run WHERE task_id = t.id AND begun_at IS NOT NULL)
WHERE before < $8 ORDER BY t.id DESC

-- name: update
-- Of a held one. Only the columns named in $2 change; meta is merged, and cleared by null.
-- One that is to pause on failure from now on does not for failures of before.
-- $1 task, $2 columns, $3 name, $4 description, $5 meta, $6 bot, $7 contact, $8 schedule, $9 timezone, $10 every,
-- $11 start at, $12 end at, $13 overlap, $14 catchup, $15 jitter, $16 pause on failure, $17 session duration,
-- $18 max iterations, $19 max time, $20 max calls, $21 expires at, $22 whether it is due at other times,
-- $23 when it is due next then, $24 whether Temporal has to be told
UPDATE task SET
    name = CASE WHEN 'name' = ANY ($2::text[]) THEN $3 ELSE name END,
    description = CASE WHEN 'description' = ANY ($2) THEN $4 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($2) THEN coalesce(meta || $5::jsonb, '{}') ELSE meta END,
    bot_id = CASE WHEN 'bot_id' = ANY ($2) THEN $6 ELSE bot_id END,
    contact_id = CASE WHEN 'contact_id' = ANY ($2) THEN $7 ELSE contact_id END,
    schedule = CASE WHEN 'schedule' = ANY ($2) THEN $8 ELSE schedule END,
    timezone = CASE WHEN 'timezone' = ANY ($2) THEN $9 ELSE timezone END,
    every = CASE WHEN 'every' = ANY ($2) THEN $10 ELSE every END,
    start_at = CASE WHEN 'start_at' = ANY ($2) THEN $11 ELSE start_at END,
    end_at = CASE WHEN 'end_at' = ANY ($2) THEN $12 ELSE end_at END,
    overlap = CASE WHEN 'overlap' = ANY ($2) THEN $13 ELSE overlap END,
    catchup = CASE WHEN 'catchup' = ANY ($2) THEN $14 ELSE catchup END,
    jitter = CASE WHEN 'jitter' = ANY ($2) THEN $15 ELSE jitter END,
    pause_on_failure = CASE WHEN 'pause_on_failure' = ANY ($2) THEN $16 ELSE pause_on_failure END,
    resumed_at = CASE WHEN 'pause_on_failure' = ANY ($2) AND $16 AND NOT pause_on_failure THEN clock_timestamp()
                 ELSE resumed_at END,
    session_duration = CASE WHEN 'session_duration' = ANY ($2) THEN $17 ELSE session_duration END,
    max_iterations = CASE WHEN 'max_iterations' = ANY ($2) THEN $18 ELSE max_iterations END,
    max_time = CASE WHEN 'max_time' = ANY ($2) THEN $19 ELSE max_time END,
    max_calls = CASE WHEN 'max_calls' = ANY ($2) THEN $20 ELSE max_calls END,
    expires_at = CASE WHEN 'expires_at' = ANY ($2) THEN $21 ELSE expires_at END,
    next_at = CASE WHEN $22::boolean THEN $23 ELSE next_at END,
    revision = revision + $24::boolean::int,
    untold_at = CASE WHEN $24 THEN clock_timestamp() ELSE untold_at END,
    updated_at = clock_timestamp()
WHERE id = $1
RETURNING CASE WHEN 'meta' = ANY ($2) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: lock
-- Of a held one, before anything else is locked: nobody names it any more. Whether its time is up.
-- $1 task
SELECT coalesce(expires_at <= clock_timestamp(), false) FROM task WHERE id = $1 FOR UPDATE

-- name: delete
-- Temporal may have a schedule of it, or be about to.
-- $1 task
WITH gone AS (
    DELETE FROM task WHERE id = $1 RETURNING id, schedule, every, untold_at
)
INSERT INTO task_gone (task_id)
SELECT id FROM gone
WHERE coalesce(schedule, 'never') <> 'never' OR every IS NOT NULL OR untold_at IS NOT NULL

-- name: forget_occurrences
-- Some of those that there are beside as many. Returns how many.
-- $1 task, $2 how many
WITH gone AS (
    DELETE FROM occurrence
    WHERE task_id = $1 AND key IN (SELECT key FROM occurrence WHERE task_id = $1 OFFSET $2 LIMIT $2) RETURNING key
)
SELECT count(*) FROM gone

-- name: forget_executions
-- The same.
-- $1 task, $2 how many
WITH gone AS (
    DELETE FROM execution
    WHERE id IN (SELECT id FROM execution WHERE task_id = $1 OFFSET $2 LIMIT $2) RETURNING id
)
SELECT count(*) FROM gone

-- name: forget_deliveries
-- The same.
-- $1 task, $2 how many
WITH gone AS (
    DELETE FROM delivery
    WHERE id IN (SELECT d.id FROM target t JOIN delivery d ON d.target_id = t.id WHERE t.task_id = $1 OFFSET $2 LIMIT $2)
    RETURNING id
)
SELECT count(*) FROM gone

-- name: leave_conversations
-- The same, of conversations, which stay.
-- $1 task, $2 how many
WITH gone AS (
    UPDATE conversation SET task_id = NULL
    WHERE id IN (SELECT id FROM conversation WHERE task_id = $1 OFFSET $2 LIMIT $2) RETURNING id
)
SELECT count(*) FROM gone
