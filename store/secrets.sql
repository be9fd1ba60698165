-- Secrets. A value is sealed before it comes here; only `reveal` and store/rotation.sql read it.

-- name: create
-- $1 id, $2 account, $3 name, $4 description, $5 meta, $6 alias, $7 type, $8 sealed value or null, $9 name of its key
INSERT INTO secret (id, account_id, name, description, meta, alias, type, value, key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: fetch
-- $1 account, $2 secret
SELECT id, alias, name, description, meta, type, created_at, updated_at
FROM secret WHERE id = $2 AND account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT id, alias, name, description, meta, type, created_at, updated_at,
               coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM secret
        WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $5 ORDER BY id DESC

-- name: lock
-- $1 account, $2 secret
SELECT type, value IS NOT NULL AS filled FROM secret WHERE id = $2 AND account_id = $1 FOR UPDATE

-- name: update
-- Only the columns named in $2 change; meta is merged, and cleared by null. The row is locked already.
-- $1 secret, $2 columns, $3 name, $4 description, $5 meta, $6 alias, $7 type, $8 sealed value, $9 name of its key
UPDATE secret SET
    name = CASE WHEN 'name' = ANY ($2::text[]) THEN $3 ELSE name END,
    description = CASE WHEN 'description' = ANY ($2) THEN $4 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($2) THEN coalesce(meta || $5::jsonb, '{}') ELSE meta END,
    alias = CASE WHEN 'alias' = ANY ($2) THEN $6 ELSE alias END,
    type = CASE WHEN 'type' = ANY ($2) THEN $7 ELSE type END,
    value = CASE WHEN 'value' = ANY ($2) THEN $8 ELSE value END,
    key = CASE WHEN 'value' = ANY ($2) THEN $9 ELSE key END,
    updated_at = clock_timestamp()
WHERE id = $1
RETURNING CASE WHEN 'meta' = ANY ($2) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: delete
-- $1 account, $2 secret
DELETE FROM secret WHERE id = $2 AND account_id = $1 RETURNING id

-- name: reveal
-- $1 account, $2 secret
SELECT type, value, key FROM secret WHERE id = $2 AND account_id = $1
