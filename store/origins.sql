-- The web origins that accounts list.

-- name: add
-- $1 account, $2 origin
INSERT INTO origin (account_id, origin) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING origin

-- name: remove
-- $1 account, $2 origin
DELETE FROM origin WHERE account_id = $1 AND origin = $2 RETURNING origin

-- name: list
-- $1 account
SELECT origin FROM origin WHERE account_id = $1 ORDER BY origin

-- name: accounts
-- $1 origin
SELECT account_id FROM origin WHERE origin = $1
