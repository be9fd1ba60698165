-- The sealed values of all accounts' secrets.

-- name: page
-- $1 after, $2 how many
SELECT id, account_id, value, key FROM secret WHERE id > $1 AND value IS NOT NULL ORDER BY id LIMIT $2

-- name: stale
-- Those that are not under the newest key, held until they are.
-- $1 name of the newest key, $2 after, $3 how many
SELECT id, account_id, value, key FROM secret WHERE key <> $1 AND id > $2 ORDER BY id LIMIT $3 FOR UPDATE

-- name: reseal
-- Nothing that a caller sees changes.
-- $1 secrets, $2 their values sealed anew, $3 name of the key
UPDATE secret SET value = anew.value, key = $3
FROM unnest($1::text[], $2::bytea[]) AS anew (id, value) WHERE secret.id = anew.id
