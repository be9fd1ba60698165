-- Who may begin. One admitted, unfinished run a conversation and one an ordering key (unique indexes), and the caps on
-- active runs.
-- The runs of a key go in the order of their channels, which are made under their task's lock; those of a conversation
-- in the order of accepted_seq, which is given after the channel, under the same lock. No clock says either, so the two
-- agree. A run with a key waits for those of its task without one that were accepted before it, too. Backfilled runs go
-- behind the others, whose order thus is not that of a conversation: so each has a conversation of its own, and those
-- without a key wait for none of them. So no two runs wait for each other, nor several in a ring.
-- Events of a trigger that have a key of their own go in the same order: their channels are made under that key's lock
-- and their conversation's.
-- Who accepts a run with a key holds the first backfilled one of its task (store/task_runs.py): else that could be
-- admitted by who does not see the new one, while another admits the new one.
-- Who admits here starts at once, so that is the first look.
-- A run that only waits (parked) takes up no place, though its conversation is busy. When it goes on it is not asked
-- for one again: so the caps may be passed by as many as go on at once.
-- The caps are read, not locked: simultaneous admissions may overshoot by their number, never grow past it.
-- Of those nobody waits for, an eighth of their cap are coming at once, from their admission to their beginning; a
-- quarter of that while one that somebody waits for is coming too. A crowd would stand before it in every queue.
-- One that does not come is not counted for ever, and one that is not to begin yet has a place and does not come.
-- While another account waits in a lane, its places (of the interactive, the last 8) are given away in turn, by the
-- sweeper alone: else whoever never stops asking would always be there first. `accept.insert_run` keeps to it too.

-- name: admit_next
-- $1 conversation, $2 cap on all, $3 cap on an account, $4 cap on background runs,
-- $5 whether it is its turn
WITH active AS (
    SELECT account_id, lane, begun_at IS NULL AND admitted_at > clock_timestamp() - interval '10 seconds'
           AND coalesce(begins_at < clock_timestamp(), true) AS coming
    FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NULL
), next AS (
    SELECT id FROM run
    WHERE conversation_id = $1 AND admitted_at IS NULL AND ended_at IS NULL
      AND NOT EXISTS (SELECT FROM run busy WHERE busy.conversation_id = $1
                      AND busy.admitted_at IS NOT NULL AND busy.ended_at IS NULL)
    ORDER BY accepted_seq LIMIT 1
)
UPDATE run r SET admitted_at = clock_timestamp(), looks = 1,
    next_look_at = greatest(clock_timestamp(), r.begins_at) + interval '2 seconds'
FROM next
WHERE r.id = next.id
  AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.task_id = r.task_id AND r.ordering_key IS NOT NULL
                  AND ahead.ended_at IS NULL
                  AND CASE WHEN ahead.ordering_key IS NULL THEN ahead.channel_id < r.channel_id
                           ELSE ahead.admitted_at IS NOT NULL
                                OR (ahead.backfilled, ahead.channel_id) < (r.backfilled, r.channel_id) END)
  AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.ordering_key = r.ordering_key AND ahead.trigger_id = r.trigger_id
                  AND ahead.ended_at IS NULL
                  AND (ahead.admitted_at IS NOT NULL OR ahead.channel_id < r.channel_id))
  AND (SELECT count(*) < $2 AND count(*) FILTER (WHERE account_id = r.account_id) < $3
              AND (r.lane = 'interactive'
                   OR count(*) FILTER (WHERE lane <> 'interactive') < $4
                  AND count(*) FILTER (WHERE lane <> 'interactive' AND coming)
                      < greatest($4 / CASE WHEN bool_or(coming AND lane = 'interactive') THEN 32 ELSE 8 END, 1))
       FROM active)
  AND ($5 OR r.lane = 'interactive' AND (SELECT count(*) + 8 < $2 FROM active)
       -- Its own row waits still, so neither is null.
       OR r.account_id = (SELECT min(w.account_id) FROM run w WHERE w.admitted_at IS NULL AND w.ended_at IS NULL
                          AND (w.lane <> 'interactive') = (r.lane <> 'interactive'))
      AND r.account_id = (SELECT max(w.account_id) FROM run w WHERE w.admitted_at IS NULL AND w.ended_at IS NULL
                          AND (w.lane <> 'interactive') = (r.lane <> 'interactive')))
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id,
          greatest(extract(epoch FROM r.begins_at - clock_timestamp()), 0)::float8 AS delay

-- name: admit_stateless
-- $1 run, $2 cap on all, $3 cap on an account, $4 cap on background runs
WITH active AS (
    SELECT account_id, lane, begun_at IS NULL AND admitted_at > clock_timestamp() - interval '10 seconds'
           AND coalesce(begins_at < clock_timestamp(), true) AS coming
    FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NULL
)
UPDATE run r SET admitted_at = clock_timestamp(), next_look_at = clock_timestamp() + interval '2 seconds', looks = 1
WHERE id = (SELECT id FROM run WHERE id = $1 AND admitted_at IS NULL AND ended_at IS NULL
            FOR UPDATE SKIP LOCKED)
  AND (SELECT count(*) < $2 AND count(*) FILTER (WHERE account_id = r.account_id) < $3
              AND (r.lane = 'interactive'
                   OR count(*) FILTER (WHERE lane <> 'interactive') < $4
                  AND count(*) FILTER (WHERE lane <> 'interactive' AND coming)
                      < greatest($4 / CASE WHEN bool_or(coming AND lane = 'interactive') THEN 32 ELSE 8 END, 1))
       FROM active)
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id

-- name: waiting
-- The heads of the lines that could move: interactive first, then whose account has least at work, then who has
-- waited longest since the account got its last place.
-- What it costs goes by how many accounts wait and how many may begin, not by how many runs wait.
-- $1 how many, $2 cap on all, $3 cap on an account, $4 cap on background runs
WITH RECURSIVE active AS (
    SELECT account_id, lane,
           begun_at IS NULL AND admitted_at > clock_timestamp() - interval '10 seconds'
           AND coalesce(begins_at < clock_timestamp(), true) AS coming
    FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NULL
), busy AS (
    SELECT conversation_id FROM run
    WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND conversation_id IS NOT NULL
), lane AS (
    SELECT false AS background, $2 - count(*) AS free FROM active
    UNION ALL
    SELECT true, least($2 - count(*), $4 - count(*) FILTER (WHERE lane <> 'interactive'),
                       greatest($4 / CASE WHEN bool_or(coming AND lane = 'interactive') THEN 32 ELSE 8 END, 1)
                       - count(*) FILTER (WHERE lane <> 'interactive' AND coming)) FROM active
), account AS (
    SELECT account_id, count(*) AS active, count(*) FILTER (WHERE lane <> 'interactive') AS background
    FROM active GROUP BY account_id
), line AS (
    (SELECT lane <> 'interactive' AS background, account_id FROM run
     WHERE admitted_at IS NULL AND ended_at IS NULL ORDER BY lane <> 'interactive', account_id LIMIT 1)
    UNION ALL
    SELECT next.background, next.account_id FROM line CROSS JOIN LATERAL (
        SELECT w.lane <> 'interactive' AS background, w.account_id FROM run w
        WHERE w.admitted_at IS NULL AND w.ended_at IS NULL
          AND (w.lane <> 'interactive', w.account_id) > (line.background, line.account_id)
        ORDER BY w.lane <> 'interactive', w.account_id LIMIT 1
    ) next
), room AS MATERIALIZED (
    SELECT line.background, line.account_id,
           CASE WHEN line.background THEN coalesce(account.background, 0)
                ELSE coalesce(account.active - account.background, 0) END AS active,
           lane.free, $3 - coalesce(account.active, 0) AS of_account,
           (SELECT w.admitted_at FROM run w
            WHERE (w.lane <> 'interactive') = line.background AND w.account_id = line.account_id
              AND w.admitted_at IS NOT NULL
            ORDER BY w.admitted_at DESC LIMIT 1) AS served_at
    FROM line JOIN lane USING (background) LEFT JOIN account USING (account_id)
)
SELECT id, conversation_id FROM (
    SELECT background, free, id, conversation_id,
           row_number() OVER (PARTITION BY background ORDER BY scheduled, turn, greatest(created_at, served_at)) AS place
    FROM (
        SELECT room.background, room.free, room.served_at, head.id, head.conversation_id, head.created_at, head.scheduled,
               room.active + row_number() OVER (PARTITION BY room.background, room.account_id
                                                ORDER BY head.scheduled, head.created_at, head.id) AS turn
        FROM room CROSS JOIN LATERAL (
            SELECT w.id, w.conversation_id, w.created_at, w.lane = 'scheduled' AS scheduled FROM run w
            WHERE (w.lane <> 'interactive') = room.background AND w.account_id = room.account_id
              AND w.admitted_at IS NULL AND w.ended_at IS NULL
              AND (w.conversation_id IS NULL OR w.conversation_id NOT IN
                   (SELECT conversation_id FROM busy))
              AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.conversation_id = w.conversation_id
                              AND ahead.admitted_at IS NULL AND ahead.ended_at IS NULL
                              AND ahead.accepted_seq < w.accepted_seq)
              AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.task_id = w.task_id AND w.ordering_key IS NOT NULL
                              AND ahead.ended_at IS NULL
                              AND CASE WHEN ahead.ordering_key IS NULL THEN ahead.channel_id < w.channel_id
                                       ELSE ahead.admitted_at IS NOT NULL
                                            OR (ahead.backfilled, ahead.channel_id) < (w.backfilled, w.channel_id) END)
              AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.ordering_key = w.ordering_key AND ahead.trigger_id = w.trigger_id
                              AND ahead.ended_at IS NULL
                              AND (ahead.admitted_at IS NOT NULL OR ahead.channel_id < w.channel_id))
            ORDER BY (w.lane = 'scheduled'), w.created_at, w.id LIMIT greatest(least($1, room.free, room.of_account), 0)
        ) head
    ) turns
) places
-- Twice as many as may begin: some of them may be locked just now.
WHERE place <= 2 * free
ORDER BY background, place LIMIT $1

-- name: try_conversation
-- $1 conversation
SELECT id FROM conversation WHERE id = $1 FOR UPDATE SKIP LOCKED
