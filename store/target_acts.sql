-- What is done to a target by hand.

-- name: fetch
-- $1 account, $2 target
SELECT said, url FROM target WHERE id = $2 AND account_id = $1

-- name: own
-- $1 account, $2 target
SELECT kind, removed_at FROM target WHERE id = $2 AND account_id = $1 FOR NO KEY UPDATE

-- name: alone
-- As in targets.sql: no call makes a target with this URL meanwhile.
-- $1 account, $2 url
SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 7))

-- name: signed_alike
-- A held one, and where it is of calls, all of them with its URL.
-- $1 target
SELECT id, account_id, secret, secret_key FROM target
WHERE id IN (SELECT $1 UNION SELECT other.id FROM target one JOIN target other
             ON other.account_id = one.account_id AND other.url = one.url AND other.said IS NOT NULL
             WHERE one.id = $1 AND one.said IS NOT NULL)
ORDER BY id FOR NO KEY UPDATE

-- name: rotate
-- $1 targets, $2 secrets, $3 the ones before them, $4 name of the key of all, $5 hours that these sign too
UPDATE target SET secret = anew.secret, secret_key = $4, previous = anew.previous,
                  previous_key = CASE WHEN anew.previous IS NOT NULL THEN $4 END,
                  previous_until = CASE WHEN anew.previous IS NOT NULL
                                   THEN now() + $5::integer * interval '1 hour' END,
                  updated_at = clock_timestamp()
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS anew (id, secret, previous) WHERE target.id = anew.id

-- name: enable
-- $1 target
UPDATE target SET failures = 0, open_until = NULL, disabled_at = NULL, disabled_code = NULL, updated_at = clock_timestamp()
WHERE id = $1
