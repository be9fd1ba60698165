-- Bots.

-- name: create
-- $1 id, $2 account, $3 name, $4 description, $5 meta, $6 model, $7 backstory, $8 skillset, $9 alias,
-- $10 what becomes of a run whose budget is spent
INSERT INTO bot (id, account_id, name, description, meta, model, backstory, skillset_id, alias, on_budget)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: fetch
-- $1 account, $2 bot
SELECT * FROM bot WHERE id = $2 AND account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, coalesce(octet_length(backstory), 0) + coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM bot
        WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $5 ORDER BY id DESC

-- name: update
-- Only the columns named in $3 change; meta is merged, and cleared by null.
-- $1 account, $2 bot, $3 columns, $4 name, $5 description, $6 meta, $7 model, $8 backstory, $9 skillset,
-- $10 alias, $11 what becomes of a run whose budget is spent
UPDATE bot SET
    name = CASE WHEN 'name' = ANY ($3::text[]) THEN $4 ELSE name END,
    description = CASE WHEN 'description' = ANY ($3) THEN $5 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($3) THEN coalesce(meta || $6::jsonb, '{}') ELSE meta END,
    model = CASE WHEN 'model' = ANY ($3) THEN $7 ELSE model END,
    backstory = CASE WHEN 'backstory' = ANY ($3) THEN $8 ELSE backstory END,
    skillset_id = CASE WHEN 'skillset_id' = ANY ($3) THEN $9 ELSE skillset_id END,
    alias = CASE WHEN 'alias' = ANY ($3) THEN $10 ELSE alias END,
    on_budget = CASE WHEN 'on_budget' = ANY ($3) THEN $11 ELSE on_budget END,
    updated_at = clock_timestamp()
WHERE id = $2 AND account_id = $1
RETURNING CASE WHEN 'meta' = ANY ($3) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: hold_skillset
-- That of a bot, kept until the transaction ends.
-- $1 account, $2 bot
SELECT s.id FROM bot b JOIN skillset s ON s.id = b.skillset_id WHERE b.id = $2 AND b.account_id = $1
FOR KEY SHARE OF s

-- name: clone
-- $1 account, $2 bot, $3 id of the clone, $4 its skillset, held
INSERT INTO bot (id, account_id, name, description, meta, model, backstory, skillset_id, on_budget)
SELECT $3, $1, name, description, meta, model, backstory, $4, on_budget FROM bot WHERE id = $2 AND account_id = $1
RETURNING id

-- name: lock
-- $1 account, $2 bot
SELECT id FROM bot WHERE id = $2 AND account_id = $1 FOR UPDATE

-- name: forget_ratings
-- Those of the bot itself; those of its conversations stay.
-- $1 bot
DELETE FROM rating WHERE bot_id = $1 AND conversation_id IS NULL

-- name: leave_tasks
-- Temporal knows whose bot a schedule is, and is told that it is nobody's any more.
-- $1 bot
UPDATE task SET bot_id = NULL, revision = revision + 1, untold_at = clock_timestamp()
WHERE bot_id = $1 AND next_at IS NOT NULL

-- name: delete
-- $1 bot
DELETE FROM bot WHERE id = $1
