-- The abilities of skillsets.

-- name: lock
-- Abilities of a skillset are made one after the other, so that they can be counted.
-- $1 account, $2 skillset
SELECT id FROM skillset WHERE id = $2 AND account_id = $1 FOR NO KEY UPDATE

-- name: count
-- $1 skillset
SELECT count(*) FROM ability WHERE skillset_id = $1

-- name: owned
-- $1 account, $2 skillset
SELECT id FROM skillset WHERE id = $2 AND account_id = $1

-- name: owned_secret
-- Kept until the transaction ends.
-- $1 account, $2 secret
SELECT id FROM secret WHERE id = $2 AND account_id = $1 FOR KEY SHARE

-- name: create
-- $1 id, $2 skillset, $3 name, $4 description, $5 meta, $6 instruction, $7 secret
INSERT INTO ability (id, skillset_id, name, description, meta, instruction, secret_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: fetch
-- $1 account, $2 skillset, $3 ability
SELECT a.* FROM ability a JOIN skillset s ON s.id = a.skillset_id
WHERE a.id = $3 AND s.id = $2 AND s.account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 skillset, $2 after, $3 take, $4 meta, $5 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, octet_length(instruction) + octet_length(description) + octet_length(meta::text) AS bytes
        FROM ability
        WHERE skillset_id = $1 AND id /* after */ < $2 AND meta @> $4
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $5 ORDER BY id DESC

-- name: update
-- Only the columns named in $4 change; meta is merged, and cleared by null.
-- $1 account, $2 skillset, $3 ability, $4 columns, $5 name, $6 description, $7 meta, $8 instruction, $9 secret
UPDATE ability a SET
    name = CASE WHEN 'name' = ANY ($4::text[]) THEN $5 ELSE a.name END,
    description = CASE WHEN 'description' = ANY ($4) THEN $6 ELSE a.description END,
    meta = CASE WHEN 'meta' = ANY ($4) THEN coalesce(a.meta || $7::jsonb, '{}') ELSE a.meta END,
    instruction = CASE WHEN 'instruction' = ANY ($4) THEN $8 ELSE a.instruction END,
    secret_id = CASE WHEN 'secret_id' = ANY ($4) THEN $9 ELSE a.secret_id END,
    updated_at = clock_timestamp()
FROM skillset s
WHERE a.id = $3 AND a.skillset_id = $2 AND s.id = $2 AND s.account_id = $1
RETURNING CASE WHEN 'meta' = ANY ($4) THEN octet_length(a.meta::text) ELSE 0 END AS meta_bytes

-- name: delete
-- $1 account, $2 skillset, $3 ability
DELETE FROM ability a USING skillset s
WHERE a.id = $3 AND a.skillset_id = $2 AND s.id = $2 AND s.account_id = $1 RETURNING a.id

-- name: at_work
-- $1 account, $2 ability
SELECT a.id, a.name, a.description, a.instruction, a.secret_id FROM ability a JOIN skillset s ON s.id = a.skillset_id
WHERE a.id = $2 AND s.account_id = $1
