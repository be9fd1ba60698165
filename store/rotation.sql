-- The sealed values of all accounts, in whatever column they are: the words of store/keyring.py name that.

-- name: page
-- Those of a column, by their ids; nobody is kept from changing one.
-- $1 column, $2 after, $3 how many, $4 the key under which none is asked for, or null
(SELECT id, account_id, value, key FROM secret
 WHERE $1 = 'secret' AND id > $2 AND value IS NOT NULL AND key IS DISTINCT FROM $4 ORDER BY id LIMIT $3)
UNION ALL
(SELECT id, account_id, secret AS value, secret_key AS key FROM trigger
 WHERE $1 = 'trigger.secret' AND id > $2 AND secret IS NOT NULL AND secret_key IS DISTINCT FROM $4 ORDER BY id LIMIT $3)
UNION ALL
(SELECT id, account_id, signing AS value, signing_key AS key FROM trigger
 WHERE $1 = 'trigger.signing' AND id > $2 AND signing IS NOT NULL AND signing_key IS DISTINCT FROM $4 ORDER BY id LIMIT $3)
UNION ALL
(SELECT id, account_id, secret AS value, secret_key AS key FROM target
 WHERE $1 = 'target.secret' AND id > $2 AND secret IS NOT NULL AND secret_key IS DISTINCT FROM $4 ORDER BY id LIMIT $3)
UNION ALL
(SELECT id, account_id, headers AS value, headers_key AS key FROM target
 WHERE $1 = 'target.headers' AND id > $2 AND headers IS NOT NULL AND headers_key IS DISTINCT FROM $4 ORDER BY id LIMIT $3)
UNION ALL
(SELECT id, account_id, previous AS value, previous_key AS key FROM target
 WHERE $1 = 'target.previous' AND id > $2 AND previous IS NOT NULL AND previous_key IS DISTINCT FROM $4 ORDER BY id LIMIT $3)
ORDER BY id

-- name: reseal
-- Nothing that a caller sees changes, and what was changed meanwhile stays as it is. Returns how many.
-- $1 column, $2 ids, $3 the values as they were, $4 sealed anew, $5 name of the key
WITH anew AS (
    SELECT * FROM unnest($2::text[], $3::bytea[], $4::bytea[]) AS one (id, was, value)
), done_secret AS (
    UPDATE secret SET value = anew.value, key = $5 FROM anew
    WHERE $1 = 'secret' AND secret.id = anew.id AND secret.value = anew.was RETURNING 1
), done_trigger_secret AS (
    UPDATE trigger SET secret = anew.value, secret_key = $5 FROM anew
    WHERE $1 = 'trigger.secret' AND trigger.id = anew.id AND trigger.secret = anew.was RETURNING 1
), done_trigger_signing AS (
    UPDATE trigger SET signing = anew.value, signing_key = $5 FROM anew
    WHERE $1 = 'trigger.signing' AND trigger.id = anew.id AND trigger.signing = anew.was RETURNING 1
), done_target_secret AS (
    UPDATE target SET secret = anew.value, secret_key = $5 FROM anew
    WHERE $1 = 'target.secret' AND target.id = anew.id AND target.secret = anew.was RETURNING 1
), done_target_headers AS (
    UPDATE target SET headers = anew.value, headers_key = $5 FROM anew
    WHERE $1 = 'target.headers' AND target.id = anew.id AND target.headers = anew.was RETURNING 1
), done_target_previous AS (
    UPDATE target SET previous = anew.value, previous_key = $5 FROM anew
    WHERE $1 = 'target.previous' AND target.id = anew.id AND target.previous = anew.was RETURNING 1
)
SELECT (SELECT count(*) FROM done_secret)
       + (SELECT count(*) FROM done_trigger_secret)
       + (SELECT count(*) FROM done_trigger_signing)
       + (SELECT count(*) FROM done_target_secret)
       + (SELECT count(*) FROM done_target_headers)
       + (SELECT count(*) FROM done_target_previous)
