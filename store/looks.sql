-- What the sweeper looks after: plans that may not have been started, or may be lost, or not yet told.

-- name: accepted
-- Claims what was accepted and nobody has started. That a claim is not synced is harmless: a plan starts once only.
-- $1 how many
WITH lax AS (
    SELECT set_config('synchronous_commit', 'off', true)
), fresh AS (
    SELECT id FROM run
    WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND state = 'queued' AND looks = 0
    ORDER BY next_look_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE run r SET looks = 1 FROM fresh, lax WHERE r.id = fresh.id
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id,
          greatest(extract(epoch FROM r.begins_at - clock_timestamp()), 0)::float8 AS delay

-- name: due
-- Claims admitted, unfinished runs whose next look is due and whose log has been silent; the next one is later,
-- of one that only waits ever later, up to ten minutes. By now(), which an index can find; clock_timestamp() would be
-- asked of every run that only waits.
-- $1 how many
WITH due AS (
    SELECT r.id FROM run r JOIN channel c ON c.id = r.channel_id
    WHERE r.admitted_at IS NOT NULL AND r.ended_at IS NULL AND r.next_look_at <= now()
      AND (r.state = 'queued' OR c.touched_at < now() - interval '30 seconds')
    ORDER BY r.next_look_at LIMIT $1 FOR UPDATE OF r SKIP LOCKED
)
UPDATE run r SET looks = looks + 1,
    next_look_at = clock_timestamp() + CASE WHEN state = 'queued' THEN interval '1 second' * least(2 ^ least(greatest(looks - 1, 0), 4), 15)
                                       WHEN parked_at IS NULL THEN interval '15 seconds'
                                       ELSE interval '15 seconds' * least(2 ^ least(looks, 6), 40) END
FROM due WHERE r.id = due.id
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id,
          greatest(extract(epoch FROM r.begins_at - clock_timestamp()), 0)::float8 AS delay,
          r.state = 'queued' AND r.task_id IS NOT NULL AS waits

-- name: queue
-- The lines and the runs at work, by lane: read by every scrape, so it counts no more than it is told to.
-- $1 the most rows counted of each
SELECT 'waiting' AS place, lane, count(*) AS runs, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest
FROM (SELECT lane, created_at FROM run WHERE admitted_at IS NULL AND ended_at IS NULL LIMIT $1) w GROUP BY lane
UNION ALL
SELECT 'active', lane, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float8
FROM (SELECT lane, created_at FROM run
      WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NULL LIMIT $1) a GROUP BY lane
UNION ALL
SELECT 'parked', lane, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float8
FROM (SELECT lane, created_at FROM run
      WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NOT NULL LIMIT $1) p GROUP BY lane

-- name: waits
-- What the runs that only wait are waiting for; one of them may wait for several.
-- $1 the most runs looked at
WITH parked AS (
    SELECT id, short_at FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NOT NULL LIMIT $1
)
SELECT CASE WHEN c.channel_id IS NULL THEN 'time' ELSE 'publish' END AS what, count(*) AS waits
FROM parked JOIN call c ON c.run_id = parked.id
WHERE c.deadline IS NOT NULL AND c.response_id IS NULL GROUP BY 1
UNION ALL
SELECT 'budget', count(*) FROM parked WHERE short_at IS NOT NULL

-- name: soon
-- Puts looks that could not be taken back at the front.
-- $1 runs
UPDATE run SET next_look_at = clock_timestamp() + interval '1 second', looks = least(looks, 3)
WHERE id = ANY ($1::text[]) AND ended_at IS NULL

-- name: untold
-- $1 how many
UPDATE run r SET untold_at = clock_timestamp()
WHERE id IN (SELECT id FROM run WHERE untold_at < now() - interval '2 seconds'
             ORDER BY untold_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id

-- name: unheard
-- Claims runs that wait for something that is there: their plans may not have been told. Told again after 15 s, of a
-- higher budget after 2.
-- $1 how many
WITH due AS (
    SELECT c.run_id, c.ordinal FROM call c JOIN channel f ON f.id = c.channel_id
    WHERE c.channel_id IS NOT NULL AND c.response_id IS NULL AND f.seq > f.taken
      AND (c.nudged_at IS NULL OR c.nudged_at < now() - interval '15 seconds')
      AND EXISTS (SELECT FROM event e WHERE e.channel_id = f.id AND e.seq > f.taken AND e.type = 'published'
                  AND e.at < now() - interval '1 second')
      AND EXISTS (SELECT FROM run r WHERE r.id = c.run_id AND r.ended_at IS NULL)
    ORDER BY c.run_id, c.ordinal LIMIT $1 FOR UPDATE OF c SKIP LOCKED
), nudged AS (
    UPDATE call c SET nudged_at = clock_timestamp() FROM due
    WHERE c.run_id = due.run_id AND c.ordinal = due.ordinal RETURNING c.run_id
), raised AS (
    UPDATE unheard SET at = clock_timestamp()
    WHERE run_id IN (SELECT run_id FROM unheard WHERE at < now() - interval '2 seconds'
                     ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING run_id
)
SELECT r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id
FROM run r WHERE r.id IN (SELECT run_id FROM nudged UNION ALL SELECT run_id FROM raised)
