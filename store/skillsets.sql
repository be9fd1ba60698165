-- Skillsets.

-- name: create
-- $1 id, $2 account, $3 name, $4 description, $5 meta, $6 alias
INSERT INTO skillset (id, account_id, name, description, meta, alias) VALUES ($1, $2, $3, $4, $5, $6)

-- name: fetch
-- $1 account, $2 skillset
SELECT * FROM skillset WHERE id = $2 AND account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM skillset
        WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $5 ORDER BY id DESC

-- name: update
-- Only the columns named in $3 change; meta is merged, and cleared by null.
-- $1 account, $2 skillset, $3 columns, $4 name, $5 description, $6 meta, $7 alias
UPDATE skillset SET
    name = CASE WHEN 'name' = ANY ($3::text[]) THEN $4 ELSE name END,
    description = CASE WHEN 'description' = ANY ($3) THEN $5 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($3) THEN coalesce(meta || $6::jsonb, '{}') ELSE meta END,
    alias = CASE WHEN 'alias' = ANY ($3) THEN $7 ELSE alias END,
    updated_at = clock_timestamp()
WHERE id = $2 AND account_id = $1
RETURNING CASE WHEN 'meta' = ANY ($3) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: delete
-- Its abilities go with it; bots and conversations that had it stay, without it.
-- $1 account, $2 skillset
DELETE FROM skillset WHERE id = $2 AND account_id = $1 RETURNING id

-- name: kept
-- $1 account
SELECT (SELECT count(*) FROM skillset WHERE account_id = $1) AS skillsets,
       (SELECT count(*) FROM ability a JOIN skillset s ON s.id = a.skillset_id WHERE s.account_id = $1) AS abilities
