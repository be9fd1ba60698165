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
