-- Triggers, each with the hidden task that holds its schedule. Secrets are sealed before they come here.

-- name: create
-- $1 id, $2 account, $3 alias, $4 name, $5 description, $6 meta, $7 bot, $8 authenticate, $9 verification,
-- $10 event id, $11 ordering key, $12 session duration, $13 sealed secret, $14 name of its key,
-- $15 sealed secrets of its source or null, $16 name of their key
INSERT INTO trigger (id, account_id, alias, name, description, meta, bot_id, authenticate, verification, event_id,
                     ordering_key, session_duration, secret, secret_key, signing, signing_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: known
-- What the door for events has to know.
-- $1 trigger
SELECT g.*, t.id AS task_id, t.schedule, t.timezone
FROM trigger g JOIN task t ON t.trigger_id = g.id WHERE g.id = $1

-- name: fetch
-- $1 account, $2 trigger
SELECT g.*, t.id AS task_id, t.schedule, t.timezone, t.next_at AS next_trigger_at,
       (SELECT received_at FROM trigger_event WHERE trigger_id = g.id AND run_id IS NOT NULL
        ORDER BY id DESC LIMIT 1) AS last_trigger_at
FROM trigger g JOIN task t ON t.trigger_id = g.id WHERE g.id = $2 AND g.account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 bots, $6 the most bytes but for the last row
SELECT g.*, t.id AS task_id, t.schedule, t.timezone, t.next_at AS next_trigger_at,
       (SELECT received_at FROM trigger_event WHERE trigger_id = g.id AND run_id IS NOT NULL
        ORDER BY id DESC LIMIT 1) AS last_trigger_at
FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM trigger
        WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4 AND ($5::text[] IS NULL OR bot_id = ANY ($5))
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS g JOIN task t ON t.trigger_id = g.id
WHERE before < $6 ORDER BY g.id DESC

-- name: hidden
-- The task that holds its schedule.
-- $1 account, $2 trigger
SELECT t.id FROM trigger g JOIN task t ON t.trigger_id = g.id WHERE g.id = $2 AND g.account_id = $1

-- name: hold
-- After its task. Its events go on meanwhile.
-- $1 trigger
SELECT id FROM trigger WHERE id = $1 FOR NO KEY UPDATE

-- name: lock
-- After its task. Nothing sets it off any more.
-- $1 trigger
SELECT id FROM trigger WHERE id = $1 FOR UPDATE

-- name: update
-- Of a held one. Only the columns named in $2 change; meta is merged, and cleared by null.
-- $1 trigger, $2 columns, $3 alias, $4 name, $5 description, $6 meta, $7 bot, $8 authenticate, $9 verification,
-- $10 event id, $11 ordering key, $12 session duration, $13 sealed secrets of its source or null, $14 name of their key
UPDATE trigger SET
    alias = CASE WHEN 'alias' = ANY ($2::text[]) THEN $3 ELSE alias END,
    name = CASE WHEN 'name' = ANY ($2) THEN $4 ELSE name END,
    description = CASE WHEN 'description' = ANY ($2) THEN $5 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($2) THEN coalesce(meta || $6::jsonb, '{}') ELSE meta END,
    bot_id = CASE WHEN 'bot_id' = ANY ($2) THEN $7 ELSE bot_id END,
    authenticate = CASE WHEN 'authenticate' = ANY ($2) THEN $8 ELSE authenticate END,
    verification = CASE WHEN 'verification' = ANY ($2) THEN $9 ELSE verification END,
    event_id = CASE WHEN 'event_id' = ANY ($2) THEN $10 ELSE event_id END,
    ordering_key = CASE WHEN 'ordering_key' = ANY ($2) THEN $11 ELSE ordering_key END,
    session_duration = CASE WHEN 'session_duration' = ANY ($2) THEN $12 ELSE session_duration END,
    signing = CASE WHEN 'verification' = ANY ($2) THEN $13 ELSE signing END,
    signing_key = CASE WHEN 'verification' = ANY ($2) THEN $14 ELSE signing_key END,
    updated_at = clock_timestamp()
WHERE id = $1
RETURNING CASE WHEN 'meta' = ANY ($2) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: to_end
-- The last to have its turn first: so none that waits has it before it is ended too.
-- $1 trigger, $2 how many at most
SELECT id FROM run WHERE trigger_id = $1 AND ended_at IS NULL
ORDER BY admitted_at IS NOT NULL, channel_id DESC LIMIT $2

-- name: forget_events
-- Some of those that there are beside as many. Returns how many.
-- $1 trigger, $2 how many
WITH gone AS (
    DELETE FROM trigger_event
    WHERE id IN (SELECT id FROM trigger_event WHERE trigger_id = $1 OFFSET $2 LIMIT $2) RETURNING id
)
SELECT count(*) FROM gone

-- name: forget_sessions
-- The same.
-- $1 trigger, $2 how many
WITH gone AS (
    DELETE FROM trigger_session
    WHERE trigger_id = $1 AND key IN (SELECT key FROM trigger_session WHERE trigger_id = $1 OFFSET $2 LIMIT $2) RETURNING key
)
SELECT count(*) FROM gone

-- name: forget_deliveries
-- The same, of what goes to its targets.
-- $1 trigger, $2 how many
WITH gone AS (
    DELETE FROM delivery
    WHERE id IN (SELECT d.id FROM target t JOIN delivery d ON d.target_id = t.id WHERE t.trigger_id = $1 OFFSET $2 LIMIT $2)
    RETURNING id
)
SELECT count(*) FROM gone

-- name: delete
-- Its last events, its sessions and its targets go with it. Its task is removed before.
-- $1 trigger
DELETE FROM trigger WHERE id = $1

-- name: setup
-- Temporal is told of its schedule anew.
-- $1 account, $2 trigger
UPDATE task SET untold_at = least(untold_at, clock_timestamp())
WHERE trigger_id = (SELECT id FROM trigger WHERE id = $2 AND account_id = $1) RETURNING id
