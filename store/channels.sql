-- Channels as clients see them: by name, within an account.

-- name: find
-- $1 account, $2 name
SELECT id, run_id, open, deleted, seq FROM channel WHERE account_id = $1 AND name = $2

-- name: make
-- $1 account, $2 name
INSERT INTO channel (account_id, name) VALUES ($1, $2) ON CONFLICT (account_id, name) DO NOTHING

-- name: lock
-- $1 account, $2 name
SELECT id, run_id FROM channel WHERE account_id = $1 AND name = $2 FOR UPDATE

-- name: trim
-- Of what clients publish, the newest thousand are kept.
-- $1 channel
DELETE FROM event WHERE channel_id = $1
  AND seq <= (SELECT seq FROM channel WHERE id = $1) - 1000

-- name: tail
-- The seq after which the newest $2 events of a channel begin.
-- $1 channel, $2 how many
SELECT coalesce(min(seq) - 1, 0) FROM (
    (SELECT seq FROM event WHERE channel_id = $1 ORDER BY seq DESC LIMIT $2)
    UNION ALL
    (SELECT seq FROM token WHERE channel_id = $1 ORDER BY seq DESC LIMIT $2)
    ORDER BY seq DESC LIMIT $2
) newest

-- name: terminal
-- $1 channel
SELECT type, data FROM event WHERE channel_id = $1 AND type IN ('result', 'error') ORDER BY seq DESC LIMIT 1
