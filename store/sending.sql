-- Deliveries on their way. Whoever holds several rows takes the target first, then its deliveries, then attempts.

-- name: hold_target
-- Without keeping those out who make deliveries to it. `name` is its task's or trigger's.
-- $1 delivery
SELECT t.id, t.account_id, t.kind, t.url, t.headers, t.headers_key, t.recipients, t.subject, t.secret, t.secret_key,
       CASE WHEN t.previous_until > clock_timestamp() THEN t.previous END AS previous, t.previous_key,
       t.failures, t.disabled_at, t.removed_at,
       greatest(extract(epoch FROM t.open_until - clock_timestamp()), 0)::float8 AS closed,
       coalesce(task.name, trigger.name) AS name
FROM target t LEFT JOIN task ON task.id = t.task_id LEFT JOIN trigger ON trigger.id = t.trigger_id
WHERE t.id = (SELECT target_id FROM delivery WHERE id = $1) FOR NO KEY UPDATE OF t

-- name: hold
-- Asked once its target is held: nobody begins or ends an attempt there meanwhile.
-- $1 delivery, $2 seconds after which an attempt takes up no slot
SELECT d.id, d.account_id, d.target_id, d.state, d.round, d.attempts, d.fence, d.holder, d.type, d.body, d.owed, d.created_at,
       extract(epoch FROM d.next_at - clock_timestamp())::float8 AS early,
       extract(epoch FROM clock_timestamp() - d.round_at)::float8 AS age,
       coalesce(own.number, 0) AS number, coalesce(own.of_round, 0) AS begun, own.open_for::float8 AS open_for,
       (SELECT count(*) FROM delivery_attempt a
        WHERE a.target_id = d.target_id AND a.ended_at IS NULL AND a.delivery_id <> d.id
          AND a.begun_at > clock_timestamp() - $2 * interval '1 second') AS busy
FROM delivery d, LATERAL (
    SELECT max(number) AS number, count(*) FILTER (WHERE round = d.round) AS of_round,
           extract(epoch FROM clock_timestamp() - max(begun_at) FILTER (WHERE ended_at IS NULL)) AS open_for
    FROM delivery_attempt WHERE delivery_id = d.id
) AS own
WHERE d.id = $1 FOR NO KEY UPDATE OF d

-- name: waiting
-- About how many: 10,000 or more are taken for 100,000, for counting them all would be dear. Up to 100,000 they look
-- too seldom then, not too often.
-- $1 target
SELECT count(*) * CASE WHEN count(*) < 10000 THEN 1 ELSE 10 END
FROM (SELECT FROM delivery WHERE target_id = $1 AND state = 'pending' AND waits LIMIT 10000) AS w

-- name: begin
-- Nobody knows what came of an attempt that is open still: its worker is gone, or too late to say it.
-- $1 delivery, $2 target, $3 number, $4 fence, $5 holder, $6 seconds until somebody looks after it
WITH unseen AS (
    UPDATE delivery_attempt SET ended_at = clock_timestamp(), error_code = 'OUTCOME_UNKNOWN'
    WHERE delivery_id = $1 AND ended_at IS NULL
), held AS (
    UPDATE delivery SET fence = $4, holder = $5, waits = false, looks = 1,
        look_at = clock_timestamp() + $6 * interval '1 second'
    WHERE id = $1 RETURNING round
)
INSERT INTO delivery_attempt (delivery_id, number, target_id, round) SELECT $1, $3, $2, round FROM held

-- name: put_off
-- $1 delivery, $2 seconds, $3 whether for a place of its target
UPDATE delivery SET next_at = clock_timestamp() + $2 * interval '1 second', waits = $3, looks = 1,
    look_at = clock_timestamp() + ($2 + 30) * interval '1 second'
WHERE id = $1

-- name: give_up
-- $1 delivery, $2 code
UPDATE delivery SET state = 'dead', ended_at = clock_timestamp(), look_at = NULL, waits = false, error_code = $2
WHERE id = $1

-- name: noted
-- The newest attempt, if this is whose it is, and its delivery; its target is held.
-- `room`: for others at the same target.
-- $1 delivery, $2 fence, $3 holder, $4 number, $5 seconds after which an attempt takes up no slot, $6 slots
SELECT d.state, d.round, d.attempts, a.ended_at IS NOT NULL AS noted,
       $6 - (SELECT count(*) FROM delivery_attempt b
             WHERE b.target_id = d.target_id AND b.ended_at IS NULL AND b.delivery_id <> d.id
               AND b.begun_at > clock_timestamp() - $5 * interval '1 second') AS room,
       extract(epoch FROM d.next_at - clock_timestamp())::float8 AS early,
       a.begun_at >= coalesce(t.open_until, '-infinity') AS counts
FROM delivery d JOIN target t ON t.id = d.target_id
JOIN delivery_attempt a ON a.delivery_id = d.id AND a.number = $4
WHERE d.id = $1 AND d.fence = $2 AND d.holder = $3 FOR NO KEY UPDATE OF d

-- name: there
-- $1 delivery
SELECT true FROM delivery WHERE id = $1

-- name: end_attempt
-- $1 delivery, $2 number, $3 status, $4 code, $5 headers, $6 body
UPDATE delivery_attempt SET ended_at = clock_timestamp(), status = $3, error_code = $4, headers = $5, body = $6
WHERE delivery_id = $1 AND number = $2

-- name: delivered
-- Of a run without a conversation nothing is kept that its channel keeps no more. A letter that others got earlier may have
-- been refused for good by some then (530 is not): that is still told.
-- $1 delivery, $2 why some did not get it, or null, $3 attempts that have ended with it, one or none
WITH done AS (
    UPDATE delivery d SET state = 'delivered', attempts = attempts + $3, ended_at = clock_timestamp(), look_at = NULL, owed = NULL,
        waits = false,
        error_code = coalesce($2, CASE WHEN d.owed IS NOT NULL THEN (
            SELECT a.error_code FROM delivery_attempt a
            WHERE a.delivery_id = d.id AND a.status BETWEEN 200 AND 299 AND a.error_code LIKE 'SMTP\_5%' AND a.error_code <> 'SMTP_530'
            ORDER BY a.number DESC LIMIT 1
        ) END),
        body = CASE WHEN EXISTS (SELECT FROM run r JOIN channel c ON c.id = r.channel_id
                                 WHERE r.id = d.run_id AND r.conversation_id IS NULL AND c.emptied) THEN NULL ELSE body END
    WHERE id = $1 RETURNING id, body
)
UPDATE delivery_attempt a SET headers = '{}', body = NULL FROM done WHERE a.delivery_id = done.id AND done.body IS NULL

-- name: failed
-- $1 delivery, $2 code, $3 seconds until its next attempt, $4 addresses that are owed it
UPDATE delivery SET attempts = attempts + 1, error_code = $2, owed = coalesce($4, owed), looks = 1,
    next_at = clock_timestamp() + $3 * interval '1 second',
    look_at = clock_timestamp() + ($3 + 30) * interval '1 second'
WHERE id = $1

-- name: died
-- $1 delivery, $2 code, $3 addresses that are owed it
UPDATE delivery SET state = 'dead', attempts = attempts + 1, ended_at = clock_timestamp(), look_at = NULL, error_code = $2,
    owed = coalesce($3, owed)
WHERE id = $1

-- name: target_works
-- $1 target
UPDATE target SET failures = 0, open_until = NULL WHERE id = $1 AND failures > 0

-- name: target_fails
-- $1 target, $2 failures in a row, $3 seconds it is left alone for, or null
UPDATE target SET failures = $2, open_until = coalesce(clock_timestamp() + $3 * interval '1 second', open_until) WHERE id = $1

-- name: disable
-- $1 target, $2 code
UPDATE target SET disabled_at = clock_timestamp(), disabled_code = $2, updated_at = clock_timestamp()
WHERE id = $1 AND disabled_at IS NULL

-- name: hand_on
-- The oldest of those that wait for a place, which there is now; should nobody tell their plans, the sweeper does.
-- $1 target, $2 how many
WITH next AS (
    SELECT id FROM delivery WHERE target_id = $1 AND state = 'pending' AND waits
    ORDER BY id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE delivery d SET waits = false, next_at = clock_timestamp(), look_at = clock_timestamp() + interval '5 seconds'
FROM next WHERE d.id = next.id
RETURNING d.id AS delivery_id, d.account_id, d.round, d.task_id, d.trigger_id, d.looks = 0 AS fresh, true AS due

-- name: due
-- Claims those that somebody has to look after; the next look is later. That a claim is not synced is harmless.
-- A young one is not even started where its target has no place for it: whoever ends an attempt there starts it, or a
-- later look. What is not seen of those that are about to begin costs no more than a start too many.
-- Where there are more than it takes, they may be one target's: then it goes through the targets as well, and takes a few
-- of each, so that no crowd holds up what is due elsewhere. Of very many targets the next claim looks at the next.
-- By now(), which an index can find; clock_timestamp() would be asked of every row that is not due yet. In the
-- words of `delivery_look_of`, else the planner may read a whole crowd in search of what is due elsewhere.
-- $1 how many, $2 seconds after which an attempt takes up no slot, $3 slots, $4 failures after which there is one,
-- $5 `past` of the claim before, $6 the most targets it goes through
WITH RECURSIVE lax AS (
    SELECT set_config('synchronous_commit', 'off', true)
), first AS MATERIALIZED (
    SELECT id, target_id, looks = 0 AND round_at > now() - interval '1 hour' AS young
    FROM delivery WHERE look_at <= now() ORDER BY look_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), line AS (
    SELECT $5::text COLLATE "C" AS target_id, 0 AS step WHERE (SELECT count(*) FROM first) = $1
    UNION ALL
    SELECT next.target_id, step + 1 FROM line CROSS JOIN LATERAL (
        SELECT w.target_id FROM delivery w WHERE w.look_at IS NOT NULL AND w.target_id > line.target_id
        ORDER BY w.target_id LIMIT 1
    ) AS next WHERE step < $6
), others AS MATERIALIZED (
    SELECT few.* FROM line CROSS JOIN LATERAL (
        SELECT id, target_id, looks = 0 AND round_at > now() - interval '1 hour' AS young
        FROM delivery WHERE target_id = line.target_id AND look_at IS NOT NULL AND id <> ALL (ARRAY(SELECT id FROM first))
          AND look_at AT TIME ZONE 'UTC' <= now() AT TIME ZONE 'UTC'
        ORDER BY look_at AT TIME ZONE 'UTC' LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
    ) AS few LIMIT $1
), past AS (
    SELECT CASE WHEN (SELECT count(*) FROM others) = $1 THEN (SELECT max(target_id) FROM others)
                WHEN max(step) = $6 THEN max(target_id) ELSE '' END AS target_id FROM line
), due AS (
    SELECT * FROM first UNION ALL SELECT * FROM others
), place AS (
    SELECT t.id, coalesce(t.open_until > clock_timestamp(), false) AS closed,
           CASE WHEN t.failures >= $4 THEN 1 ELSE $3 END
           - (SELECT count(*) FROM delivery_attempt a WHERE a.target_id = t.id AND a.ended_at IS NULL
              AND a.begun_at > clock_timestamp() - $2 * interval '1 second') AS room,
           -- as `waiting`
           (SELECT count(*) * CASE WHEN count(*) < 10000 THEN 1 ELSE 10 END
            FROM (SELECT FROM delivery w WHERE w.target_id = t.id AND w.state = 'pending' AND w.waits LIMIT 10000) AS w) AS waiting
    FROM target t WHERE t.id IN (SELECT target_id FROM due)
), placed AS (
    SELECT due.id, place.waiting,
           due.young AND (place.closed OR row_number() OVER (PARTITION BY due.target_id, due.young ORDER BY due.id) > place.room)
               AS waits
    FROM due JOIN place ON place.id = due.target_id
)
UPDATE delivery d SET waits = d.waits OR placed.waits, looks = CASE WHEN placed.waits THEN 0 ELSE looks + 1 END,
    look_at = CASE WHEN placed.waits THEN clock_timestamp() + (1 + random() * (1 + placed.waiting / 4)) * interval '1 second'
                   WHEN looks = 0 THEN clock_timestamp() + interval '5 seconds'
                   ELSE greatest(next_at, clock_timestamp()) + interval '15 seconds' * least(2 ^ least(looks - 1, 6), 40) END
FROM placed, past, lax WHERE d.id = placed.id
RETURNING d.id AS delivery_id, d.account_id, d.round, d.task_id, d.trigger_id, d.looks <= 1 AS fresh,
          d.next_at <= clock_timestamp() AS due, placed.waits, past.target_id AS past

-- name: soon
-- Puts looks that could not be taken back at the front.
-- $1 deliveries
UPDATE delivery SET look_at = clock_timestamp() + interval '1 second', looks = least(greatest(looks - 1, 0), 3)
WHERE id = ANY ($1::text[]) AND state = 'pending'

-- name: lost
-- $1 delivery, $2 round
UPDATE delivery d SET state = 'dead', error_code = 'PLAN_LOST', ended_at = clock_timestamp(), look_at = NULL, waits = false
FROM target t WHERE d.id = $1 AND d.round = $2 AND d.state = 'pending' AND t.id = d.target_id RETURNING t.kind

-- name: counted
-- Those that have not arrived: read by every scrape, so it counts no more than it is told to.
-- $1 the most rows counted of each
SELECT 'pending' AS state, count(*) AS deliveries FROM (SELECT FROM delivery WHERE look_at IS NOT NULL LIMIT $1) AS p
UNION ALL
SELECT 'dead', count(*) FROM (SELECT FROM delivery WHERE state = 'dead' LIMIT $1) AS d
