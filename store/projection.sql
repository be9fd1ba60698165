-- What Temporal is to be told of tasks. Told is who is due again, by `next_at`, paused or not.

-- name: untold
-- Claims tasks that Temporal has to be told of; what is not told within 5 s, another claim takes.
-- $1 how many
UPDATE task SET untold_at = clock_timestamp() + interval '5 seconds'
WHERE id IN (SELECT id FROM task WHERE untold_at <= now()
             ORDER BY untold_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING *

-- name: told
-- Unless it changed meanwhile.
-- $1 task, $2 the revision that was told
UPDATE task SET untold_at = NULL WHERE id = $1 AND revision = $2

-- name: later
-- One that Temporal refuses.
-- $1 task, $2 its revision
UPDATE task SET untold_at = clock_timestamp() + interval '1 minute' WHERE id = $1 AND revision = $2

-- name: again
-- Nobody is waited for: who holds one now finds its schedule as it was, and the next round does it.
-- $1 tasks, $2 the revisions they had: of one that changed since, Temporal is told anyway
UPDATE task SET untold_at = clock_timestamp()
WHERE id IN (SELECT t.id FROM task t JOIN unnest($1::text[], $2::bigint[]) AS found (id, revision) USING (id, revision)
             WHERE t.untold_at IS NULL ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED)

-- name: gone
-- Claims tasks that are no more.
-- $1 how many
UPDATE task_gone SET at = clock_timestamp() + interval '5 seconds'
WHERE task_id IN (SELECT task_id FROM task_gone WHERE at <= now()
                  ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING task_id

-- name: dropped
-- $1 task
DELETE FROM task_gone WHERE task_id = $1

-- name: wanted
-- The tasks that have a schedule, by their ids.
-- $1 after, $2 how many
SELECT id AS task_id, revision, schedule, paused_at IS NOT NULL AS paused, untold_at IS NULL AS told
FROM task WHERE id > $1 AND next_at IS NOT NULL ORDER BY id LIMIT $2

-- name: unwanted
-- Those of some tasks that have none, or are no more.
-- $1 tasks
SELECT given.id FROM unnest($1::text[]) AS given (id)
WHERE NOT EXISTS (SELECT FROM task WHERE task.id = given.id AND next_at IS NOT NULL)

-- name: overdue
-- Tasks whose time went by and their jitter with it, or that are half decided; `again`: nothing had fired the last one
-- either; of a paused one nobody asks.
-- $1 after this time, $2 and this task, $3 how many, $4 how long it may take until something fires
WITH late AS (
    SELECT id, next_at AS since FROM task
    WHERE next_at < now() - $4::interval
      AND next_at < now() - $4::interval - jitter * interval '1 millisecond'
    UNION ALL
    SELECT id, at FROM occurrence JOIN task ON task.id = occurrence.task_id
    WHERE state = 'due' AND at < now() - $4::interval - jitter * interval '1 millisecond'
), found AS (
    SELECT id, min(since) AS since FROM late GROUP BY id
    HAVING (min(since), id) > ($1, $2) ORDER BY 2, 1 LIMIT $3
)
SELECT t.id AS task_id, t.revision, found.since, t.paused_at IS NOT NULL AS paused, coalesce(last.unfired, false) AS again
FROM found JOIN task t USING (id)
LEFT JOIN LATERAL (
    SELECT o.healed OR o.state = 'missed' AS unfired FROM occurrence o
    WHERE t.paused_at IS NULL AND o.task_id = t.id AND o.state IN ('ran', 'missed')
    ORDER BY o.at DESC, o.key DESC LIMIT 1
) last ON true
ORDER BY found.since, t.id
