-- What runs wait for without a worker. Locked in this order: conversation, run, its channel, its functions' channels.

-- name: waiting
-- $1 run
SELECT c.ordinal, c.name, c.channel_id, f.name AS channel, c.deadline <= clock_timestamp() AS due,
       m.meta -> 'activity' AS activity,
       extract(epoch FROM clock_timestamp() - s.begun_at)::float8 AS seconds
FROM call c JOIN step s ON s.run_id = c.run_id AND s.ordinal = c.ordinal
     LEFT JOIN channel f ON f.id = c.channel_id LEFT JOIN message m ON m.id = c.request_id
WHERE c.run_id = $1 AND c.deadline IS NOT NULL AND c.response_id IS NULL ORDER BY c.ordinal

-- name: lock
-- $1 channels
SELECT id FROM channel WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE

-- name: consume
-- Takes the oldest publish nobody has taken, of a locked channel, for a call. It goes with the call's words.
-- $1 channel, $2 run, $3 ordinal
WITH oldest AS (
    SELECT e.seq, e.data FROM event e JOIN channel c ON c.id = e.channel_id
    WHERE e.channel_id = $1 AND e.seq > c.taken AND e.type = 'published' ORDER BY e.seq LIMIT 1
), taken AS (
    UPDATE channel SET taken = oldest.seq FROM oldest WHERE channel.id = $1
), by AS (
    UPDATE call SET taken = oldest.seq FROM oldest WHERE call.run_id = $2 AND call.ordinal = $3
)
SELECT data FROM oldest

-- name: park
-- What is left to wait for, and until when at most. With no other call at work the run only waits.
-- $1 run
WITH waiting AS (
    SELECT count(*)::int AS remaining, coalesce(min(extract(epoch FROM deadline - clock_timestamp())), 0)::float8 AS seconds
    FROM call WHERE run_id = $1 AND deadline IS NOT NULL AND response_id IS NULL
), parked AS (
    UPDATE run SET parked_at = clock_timestamp() FROM waiting
    WHERE id = $1 AND parked_at IS NULL AND remaining > 0
      AND NOT EXISTS (SELECT FROM call WHERE run_id = $1 AND kind = 'ability' AND response_id IS NULL)
    RETURNING pg_notify('holdfast_end', '')
)
SELECT remaining, greatest(seconds, 0) AS seconds FROM waiting, (SELECT count(*) FROM parked) AS told
