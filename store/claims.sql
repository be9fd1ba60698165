-- What a caller's Idempotency-Key stands for.

-- name: claim
-- $1 account, $2 route, $3 key, $4 fingerprint, $5 subject
INSERT INTO idempotency (account_id, route, key, fingerprint, subject) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING subject

-- name: repoint
-- $1 account, $2 route, $3 key, $4 subject
UPDATE idempotency SET subject = $4 WHERE account_id = $1 AND route = $2 AND key = $3

-- name: claimed
-- $1 account, $2 route, $3 key
SELECT fingerprint, subject FROM idempotency WHERE account_id = $1 AND route = $2 AND key = $3
