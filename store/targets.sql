-- Targets: where results go. Secrets and headers are sealed before they come here.

-- name: held
-- Those of a held task or trigger, the removed ones too.
-- $1 task, $2 trigger
SELECT id, kind, url, recipients, removed_at IS NOT NULL AS removed FROM target
WHERE task_id = $1 OR trigger_id = $2 ORDER BY id FOR NO KEY UPDATE

-- name: create
-- $1 id, $2 account, $3 task, $4 trigger, $5 hash of what a call has said, $6 kind, $7 events, $8 url,
-- $9 recipients, $10 subject, $11 headers, $12 name of their key, $13 secret, $14 name of its key,
-- $15 the secret before it, $16 name of its key, $17 until when that one signs
INSERT INTO target (id, account_id, task_id, trigger_id, said, kind, events, url, recipients, subject, headers, headers_key,
                    secret, secret_key, previous, previous_key, previous_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: set
-- Of a held one. At another place nothing has failed yet; so it is with one that is back. Attempts that are under way at the
-- old one say nothing of it (`Hold.where`).
-- $1 target, $2 events, $3 url, $4 recipients, $5 subject, $6 headers, $7 name of their key, $8 whether it begins anew
UPDATE target SET
    events = $2, url = $3, recipients = $4, subject = $5, headers = $6, headers_key = $7, removed_at = NULL,
    failures = CASE WHEN $8::boolean THEN 0 ELSE failures END,
    open_until = CASE WHEN $8 THEN NULL ELSE open_until END,
    disabled_at = CASE WHEN $8 THEN NULL ELSE disabled_at END,
    disabled_code = CASE WHEN $8 THEN NULL ELSE disabled_code END,
    updated_at = clock_timestamp()
WHERE id = $1

-- name: remove
-- Its secret stays for the day that it is set again; its headers come again then.
-- $1 target
UPDATE target SET removed_at = clock_timestamp(), updated_at = clock_timestamp(), headers = NULL, headers_key = NULL
WHERE id = $1

-- name: said
-- One that calls share, kept until the transaction ends. That it was named is written once a day, and waited for by nobody:
-- who holds it needs it, or writes that as well.
-- $1 account, $2 hash of what is said
WITH known AS (
    SELECT id FROM target WHERE account_id = $1 AND said = $2 FOR KEY SHARE
), unseen AS (
    SELECT id FROM target WHERE account_id = $1 AND said = $2 AND seen_at < now() - interval '1 day'
    FOR NO KEY UPDATE SKIP LOCKED
), seen AS (
    UPDATE target SET seen_at = now() FROM unseen WHERE target.id = unseen.id
)
SELECT id FROM known

-- name: alone
-- Until the transaction ends nobody else makes a target of this account's calls at this place, nor changes the secret there.
-- $1 account, $2 place
SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 7))

-- name: neighbour
-- Another target of calls with the same URL, whose secret is this one's too.
-- $1 account, $2 url
SELECT id, account_id, secret, secret_key, previous, previous_key, previous_until FROM target
WHERE account_id = $1 AND url = $2 AND said IS NOT NULL ORDER BY id LIMIT 1

-- name: of_tasks
-- $1 account, $2 tasks
SELECT * FROM target
WHERE account_id = $1 AND task_id = ANY ($2::text[]) AND task_id IS NOT NULL AND removed_at IS NULL

-- name: of_triggers
-- $1 account, $2 triggers
SELECT * FROM target
WHERE account_id = $1 AND trigger_id = ANY ($2::text[]) AND trigger_id IS NOT NULL AND removed_at IS NULL

-- name: of_run
-- $1 account, $2 run
SELECT t.* FROM run r JOIN target t ON t.account_id = r.account_id AND t.id = ANY (r.targets)
WHERE r.id = $2 AND r.account_id = $1 ORDER BY t.id

-- name: fetch
-- $1 account, $2 target
SELECT * FROM target WHERE id = $2 AND account_id = $1

-- name: list
-- $1 account, $2 after, $3 take, $4 tasks, $5 triggers, $6 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, coalesce(octet_length(url), 0) + coalesce(octet_length(headers), 0)
                  + coalesce(octet_length(array_to_string(recipients, ' ')), 0) AS bytes
        FROM target
        WHERE account_id = $1 AND id /* after */ < $2 AND removed_at IS NULL
          AND ($4::text[] IS NULL OR task_id = ANY ($4)) AND ($5::text[] IS NULL OR trigger_id = ANY ($5))
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $6 ORDER BY id DESC
