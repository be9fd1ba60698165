-- Messages, in the order of seq.

-- name: lock
-- $1 account, $2 conversation
SELECT id FROM conversation WHERE id = $2 AND account_id = $1 FOR UPDATE

-- name: owned
-- $1 account, $2 conversation
SELECT id FROM conversation WHERE id = $2 AND account_id = $1

-- name: fetch
-- $1 account, $2 conversation, $3 message
SELECT m.* FROM message m JOIN conversation v ON v.id = m.conversation_id
WHERE m.id = $3 AND v.id = $2 AND v.account_id = $1

-- name: place
-- $1 conversation, $2 message
SELECT seq FROM message WHERE conversation_id = $1 AND id = $2

-- name: list
-- $1 conversation, $2 cursor, $3 take
SELECT * FROM message
WHERE conversation_id = $1
  AND ($2::text IS NULL OR seq /* after */ < (SELECT seq FROM message WHERE conversation_id = $1 AND id = $2))
ORDER BY seq DESC LIMIT $3

-- name: update
-- Only the columns named in $4 change; meta is merged, and cleared by null.
-- $1 account, $2 conversation, $3 message, $4 columns, $5 type, $6 text, $7 name, $8 description, $9 meta
UPDATE message m SET
    type = CASE WHEN 'type' = ANY ($4::text[]) THEN $5 ELSE m.type END,
    text = CASE WHEN 'text' = ANY ($4) THEN $6 ELSE m.text END,
    name = CASE WHEN 'name' = ANY ($4) THEN $7 ELSE m.name END,
    description = CASE WHEN 'description' = ANY ($4) THEN $8 ELSE m.description END,
    meta = CASE WHEN 'meta' = ANY ($4) THEN coalesce(m.meta || $9::jsonb, '{}') ELSE m.meta END,
    updated_at = clock_timestamp()
FROM conversation v
WHERE m.id = $3 AND m.conversation_id = $2 AND v.id = $2 AND v.account_id = $1
RETURNING m.id

-- name: delete
-- $1 account, $2 conversation, $3 message
DELETE FROM message m USING conversation v
WHERE m.id = $3 AND m.conversation_id = $2 AND v.id = $2 AND v.account_id = $1
RETURNING m.id
