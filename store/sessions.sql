-- Sessions: what a browser's token stands for.

-- name: create
-- One that is being deleted at this moment is waited for, and is then not there.
-- $1 id, $2 account, $3 conversation, $4 key, $5 seconds
INSERT INTO session (id, account_id, conversation_id, key_id, expires_at)
SELECT $1, account_id, id, $4, date_trunc('second', now()) + $5 * interval '1 second'
FROM conversation WHERE id = $3 AND account_id = $2 FOR KEY SHARE
RETURNING id

-- name: fetch
-- $1 account, $2 session
SELECT s.id, s.account_id, s.conversation_id, s.expires_at, s.expires_at > now() AND k.revoked_at IS NULL AS open
FROM session s JOIN api_key k ON k.id = s.key_id
WHERE s.id = $2 AND s.account_id = $1

-- name: caller
-- $1 session
SELECT s.account_id, s.key_id, s.id AS session_id, s.conversation_id
FROM session s JOIN api_key k ON k.id = s.key_id
WHERE s.id = $1 AND s.expires_at > now() AND k.revoked_at IS NULL

-- name: refused
-- A token that was refused. The same again within a minute is not written again, so that nobody can fill the log.
-- $1 id, $2 account or null, $3 about, $4 meta
INSERT INTO audit (id, account_id, type, about, meta)
SELECT $1, $2, 'session.refused', $3, $4
WHERE NOT EXISTS (
    SELECT FROM audit a
    WHERE a.type = 'session.refused' AND a.at > now() - interval '1 minute'
      AND a.about = $3 AND a.meta = $4
)

-- name: holds_run
-- $1 conversation, $2 run
SELECT id FROM run WHERE id = $2 AND conversation_id = $1

-- name: holds_channel
-- $1 conversation, $2 account, $3 channel's name
SELECT r.id FROM channel c JOIN run r ON r.id = c.run_id
WHERE c.account_id = $2 AND c.name = $3 AND r.conversation_id = $1
