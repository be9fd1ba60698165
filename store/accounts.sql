-- Accounts and their API keys.

-- name: create
-- $1 id, $2 name
INSERT INTO account (id, name) VALUES ($1, $2)

-- name: exists
-- $1 account
SELECT id FROM account WHERE id = $1

-- name: create_key
-- $1 id, $2 account, $3 name, $4 hash
INSERT INTO api_key (id, account_id, name, hash) VALUES ($1, $2, $3, $4)

-- name: keys
-- $1 account
SELECT id, name, created_at, revoked_at FROM api_key WHERE account_id = $1 ORDER BY id

-- name: revoke_key
-- $1 key id
UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id

-- name: caller
-- $1 hash of a key
SELECT account_id, id AS key_id FROM api_key WHERE hash = $1 AND revoked_at IS NULL
