-- Who may begin. One admitted, unfinished run a conversation (a unique index), and the caps on active runs.
-- Who admits here starts at once, so that is the first look.
-- The caps are read, not locked: simultaneous admissions may overshoot by their number, never grow past it.

-- name: admit_next
-- $1 conversation, $2 cap on all, $3 cap on an account, $4 cap on background runs
WITH active AS (
    SELECT account_id, lane FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL
), next AS (
    SELECT id FROM run
    WHERE conversation_id = $1 AND admitted_at IS NULL AND ended_at IS NULL
      AND NOT EXISTS (SELECT FROM run busy WHERE busy.conversation_id = $1
                      AND busy.admitted_at IS NOT NULL AND busy.ended_at IS NULL)
    ORDER BY accepted_seq LIMIT 1
)
UPDATE run r SET admitted_at = clock_timestamp(), next_look_at = clock_timestamp() + interval '2 seconds', looks = 1
FROM next
WHERE r.id = next.id
  AND (SELECT count(*) < $2 AND count(*) FILTER (WHERE account_id = r.account_id) < $3
              AND (r.lane = 'interactive' OR count(*) FILTER (WHERE lane <> 'interactive') < $4)
       FROM active)
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id

-- name: admit_stateless
-- $1 run, $2 cap on all, $3 cap on an account, $4 cap on background runs
WITH active AS (
    SELECT account_id, lane FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL
)
UPDATE run r SET admitted_at = clock_timestamp(), next_look_at = clock_timestamp() + interval '2 seconds', looks = 1
WHERE id = (SELECT id FROM run WHERE id = $1 AND admitted_at IS NULL AND ended_at IS NULL
            FOR UPDATE SKIP LOCKED)
  AND (SELECT count(*) < $2 AND count(*) FILTER (WHERE account_id = r.account_id) < $3
              AND (r.lane = 'interactive' OR count(*) FILTER (WHERE lane <> 'interactive') < $4)
       FROM active)
RETURNING r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id

-- name: waiting
-- The heads of the lines that could move: interactive first, accounts in turn, oldest first. Accounts and lanes
-- without a free place are left out, so that they cannot fill the batch.
-- $1 how many, $2 cap on all, $3 cap on an account, $4 cap on background runs
WITH active AS (
    SELECT account_id, lane FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL
), everyone AS (
    SELECT $2 - count(*) AS free, $4 - count(*) FILTER (WHERE lane <> 'interactive') AS background FROM active
), account AS (
    SELECT account_id, count(*) AS active FROM active GROUP BY account_id
)
SELECT heads.id, heads.conversation_id FROM (
    SELECT w.id, w.conversation_id, w.account_id, w.lane, w.created_at,
           row_number() OVER (PARTITION BY w.account_id ORDER BY w.lane <> 'interactive', w.created_at, w.id)
               AS turn
    FROM run w
    WHERE w.admitted_at IS NULL AND w.ended_at IS NULL AND (SELECT free FROM everyone) > 0
      AND (w.lane = 'interactive' OR (SELECT background FROM everyone) > 0)
      AND NOT EXISTS (SELECT FROM run busy WHERE busy.conversation_id = w.conversation_id
                      AND busy.admitted_at IS NOT NULL AND busy.ended_at IS NULL)
      AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.conversation_id = w.conversation_id
                      AND ahead.admitted_at IS NULL AND ahead.ended_at IS NULL
                      AND ahead.accepted_seq < w.accepted_seq)
) heads LEFT JOIN account USING (account_id)
WHERE heads.turn <= $3 - coalesce(account.active, 0)
ORDER BY heads.lane <> 'interactive', heads.turn, heads.created_at LIMIT $1

-- name: try_conversation
-- $1 conversation
SELECT id FROM conversation WHERE id = $1 FOR UPDATE SKIP LOCKED
