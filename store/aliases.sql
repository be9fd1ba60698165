-- The words that callers name their objects by: a query for each kind of object.

-- name: bot
-- $1 account, $2 aliases
SELECT id, alias FROM bot WHERE account_id = $1 AND alias = ANY ($2::text[])

-- name: skillset
-- $1 account, $2 aliases
SELECT id, alias FROM skillset WHERE account_id = $1 AND alias = ANY ($2::text[])

-- name: secret
-- $1 account, $2 aliases
SELECT id, alias FROM secret WHERE account_id = $1 AND alias = ANY ($2::text[])

-- name: trigger
-- $1 account, $2 aliases
SELECT id, alias FROM trigger WHERE account_id = $1 AND alias = ANY ($2::text[])
