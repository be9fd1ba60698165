-- Deliveries, as their owners see them.

-- name: list
-- $1 account, $2 after, $3 take, $4 states, $5 types, $6 targets, $7 tasks, $8 triggers, $9 runs, $10 since, $11 until
SELECT d.id, d.account_id, d.target_id, t.kind, d.run_id, d.task_id, d.trigger_id, d.type, d.state, d.round, d.attempts,
       d.next_at, d.error_code, d.created_at, d.ended_at
FROM delivery d JOIN target t ON t.id = d.target_id
WHERE d.account_id = $1 AND d.id /* after */ < $2
  AND ($4::text[] IS NULL OR d.state = ANY ($4)) AND ($5::text[] IS NULL OR d.type = ANY ($5))
  AND ($6::text[] IS NULL OR d.target_id = ANY ($6)) AND ($7::text[] IS NULL OR d.task_id = ANY ($7))
  AND ($8::text[] IS NULL OR d.trigger_id = ANY ($8)) AND ($9::text[] IS NULL OR d.run_id = ANY ($9))
  AND ($10::timestamptz IS NULL OR d.created_at >= $10) AND ($11::timestamptz IS NULL OR d.created_at < $11)
ORDER BY d.id DESC LIMIT $3

-- name: fetch
-- $1 account, $2 delivery
SELECT d.id, d.account_id, d.target_id, t.kind, d.run_id, d.task_id, d.trigger_id, d.type, d.state, d.round, d.attempts,
       d.next_at, d.error_code, d.created_at, d.ended_at, d.body
FROM delivery d JOIN target t ON t.id = d.target_id WHERE d.id = $2 AND d.account_id = $1

-- name: attempts
-- $1 delivery, $2 how many
SELECT number, round, begun_at, ended_at, status, error_code, headers, body
FROM delivery_attempt WHERE delivery_id = $1 ORDER BY number DESC LIMIT $2

-- name: hold_target
-- Of a delivery: whoever sends again takes it first, as whoever attempts does. A pause of it ends now: its next attempt is
-- the one that asks whether it is up.
-- $1 account, $2 delivery
UPDATE target SET open_until = CASE WHEN open_until > clock_timestamp() THEN clock_timestamp() ELSE open_until END
WHERE id = (SELECT target_id FROM delivery WHERE id = $2 AND account_id = $1)
RETURNING removed_at IS NOT NULL AS removed, disabled_at IS NOT NULL AS disabled

-- name: hold
-- $1 account, $2 delivery
SELECT state, body IS NULL AS empty FROM delivery WHERE id = $2 AND account_id = $1 FOR NO KEY UPDATE

-- name: again
-- Of a finished one a new round begins; one on its way is tried now. A letter that is owed to nobody its target still
-- names goes to all whom it names: somebody has asked for it.
-- $1 deliveries
WITH set_going AS (
    UPDATE delivery SET state = 'pending', ended_at = NULL, waits = false, error_code = NULL,
        owed = CASE WHEN owed && (SELECT recipients FROM target WHERE id = target_id) THEN owed END,
        round = round + (state <> 'pending')::int,
        round_at = CASE WHEN state = 'pending' THEN round_at ELSE clock_timestamp() END,
        attempts = CASE WHEN state = 'pending' THEN attempts ELSE 0 END,
        next_at = clock_timestamp(), look_at = clock_timestamp(),
        looks = CASE WHEN state = 'pending' THEN greatest(looks, 1) ELSE 0 END
    WHERE id = ANY ($1::text[]) RETURNING id
)
SELECT pg_notify('holdfast_delivery', '') FROM set_going LIMIT 1

-- name: dead
-- Without those that cannot be sent.
-- $1 account, $2 take, $3 types, $4 targets, $5 tasks, $6 triggers, $7 runs, $8 since, $9 until
SELECT d.id, d.target_id FROM delivery d JOIN target t ON t.id = d.target_id
WHERE d.account_id = $1 AND d.state = 'dead' AND d.body IS NOT NULL AND t.removed_at IS NULL AND t.disabled_at IS NULL
  AND ($3::text[] IS NULL OR d.type = ANY ($3)) AND ($4::text[] IS NULL OR d.target_id = ANY ($4))
  AND ($5::text[] IS NULL OR d.task_id = ANY ($5)) AND ($6::text[] IS NULL OR d.trigger_id = ANY ($6))
  AND ($7::text[] IS NULL OR d.run_id = ANY ($7))
  AND ($8::timestamptz IS NULL OR d.created_at >= $8) AND ($9::timestamptz IS NULL OR d.created_at < $9)
ORDER BY d.id LIMIT $2

-- name: hold_targets
-- As `hold_target`.
-- $1 targets
WITH held AS (
    SELECT id FROM target WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE target SET open_until = clock_timestamp() FROM held WHERE target.id = held.id AND open_until > clock_timestamp()

-- name: hold_dead
-- Those that are still dead and nobody else holds.
-- $1 deliveries
SELECT id FROM delivery WHERE id = ANY ($1::text[]) AND state = 'dead' AND body IS NOT NULL
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED

-- name: delete
-- $1 account, $2 delivery
DELETE FROM delivery WHERE id = $2 AND account_id = $1 RETURNING target_id

-- name: pinged
-- $1 account, $2 target
SELECT removed_at IS NOT NULL AS removed, disabled_at IS NOT NULL AS disabled, task_id, trigger_id, clock_timestamp() AS now
FROM target WHERE id = $2 AND account_id = $1

-- name: ping
-- $1 id, $2 account, $3 target, $4 type, $5 body
WITH made AS (
    INSERT INTO delivery (id, account_id, target_id, type, body, look_at) VALUES ($1, $2, $3, $4, $5, clock_timestamp())
    RETURNING id
)
SELECT pg_notify('holdfast_delivery', '') FROM made
