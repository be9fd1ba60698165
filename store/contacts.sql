-- Contacts.

-- name: create
-- $1 id, $2 account, $3 name, $4 description, $5 meta, $6 fingerprint, $7 email, $8 phone, $9 nick,
-- $10 preferences, $11 verified at
INSERT INTO contact (id, account_id, name, description, meta, fingerprint, email, phone, nick, preferences,
                     verified_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (account_id, fingerprint) DO NOTHING RETURNING id

-- name: by_fingerprint
-- It stays until the transaction ends.
-- $1 account, $2 fingerprint
SELECT id FROM contact WHERE account_id = $1 AND fingerprint = $2 FOR KEY SHARE

-- name: fetch
-- $1 account, $2 contact
SELECT * FROM contact WHERE id = $2 AND account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, coalesce(octet_length(preferences), 0) + coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM contact
        WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $5 ORDER BY id DESC

-- name: update
-- Only the columns named in $3 change; meta is merged, and cleared by null.
-- $1 account, $2 contact, $3 columns, $4 name, $5 description, $6 meta, $7 fingerprint, $8 email, $9 phone,
-- $10 nick, $11 preferences, $12 verified at
UPDATE contact SET
    name = CASE WHEN 'name' = ANY ($3::text[]) THEN $4 ELSE name END,
    description = CASE WHEN 'description' = ANY ($3) THEN $5 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($3) THEN coalesce(meta || $6::jsonb, '{}') ELSE meta END,
    fingerprint = CASE WHEN 'fingerprint' = ANY ($3) THEN $7 ELSE fingerprint END,
    email = CASE WHEN 'email' = ANY ($3) THEN $8 ELSE email END,
    phone = CASE WHEN 'phone' = ANY ($3) THEN $9 ELSE phone END,
    nick = CASE WHEN 'nick' = ANY ($3) THEN $10 ELSE nick END,
    preferences = CASE WHEN 'preferences' = ANY ($3) THEN $11 ELSE preferences END,
    verified_at = CASE WHEN 'verified_at' = ANY ($3) THEN $12 ELSE verified_at END,
    updated_at = clock_timestamp()
WHERE id = $2 AND account_id = $1
RETURNING CASE WHEN 'meta' = ANY ($3) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: of_conversation
-- $1 account, $2 conversation
SELECT contact_id FROM conversation WHERE id = $2 AND account_id = $1

-- name: link
-- The contact is locked before its conversation, as by its removal.
-- $1 account, $2 conversation, $3 contact, $4 whether it replaces another
UPDATE conversation SET contact_id = $3, updated_at = clock_timestamp(),
                        touched_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
WHERE id = $2 AND account_id = $1 AND ($4 OR contact_id IS NULL)
RETURNING id

-- name: delete
-- $1 account, $2 contact
DELETE FROM contact WHERE id = $2 AND account_id = $1 RETURNING id
