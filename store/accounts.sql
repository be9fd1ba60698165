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
UPDATE api_key SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING account_id

-- name: key_exists
-- $1 key id
SELECT id FROM api_key WHERE id = $1

-- name: key_opens
-- $1 key id
SELECT id FROM api_key WHERE id = $1 AND revoked_at IS NULL

-- name: caller
-- $1 hash of a key
SELECT account_id, id AS key_id FROM api_key WHERE hash = $1 AND revoked_at IS NULL

-- name: refused
-- A sign-in that failed: of the account whose revoked key it was, or of nobody. The same again from the same
-- address within a minute is not written again, so that nobody can fill the log.
-- $1 id, $2 hash of the key, $3 address
INSERT INTO audit (id, account_id, type, about, meta)
SELECT $1, k.account_id, 'key.refused', jsonb_strip_nulls(jsonb_build_object('keyId', k.id)),
       jsonb_strip_nulls(jsonb_build_object('address', $3::text, 'code', 'NOT_AUTHENTICATED'))
FROM (SELECT) AS one LEFT JOIN api_key k ON k.hash = $2
WHERE NOT EXISTS (
    SELECT FROM audit a
    WHERE a.type = 'key.refused' AND a.at > now() - interval '1 minute'
      AND a.about ->> 'keyId' IS NOT DISTINCT FROM k.id AND a.meta ->> 'address' IS NOT DISTINCT FROM $3
)
