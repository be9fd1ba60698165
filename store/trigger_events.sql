-- What sets triggers off: kept once, read, and set going again.

-- name: earlier
-- The event of a name that stands for all others of that name, and whether its time is over.
-- $1 trigger, $2 what its source calls it, $3 how long it stands for them
SELECT id, run_id, digest, received_at < clock_timestamp() - $3::interval AS over FROM trigger_event
WHERE trigger_id = $1 AND provider_id = $2 AND run_id IS NOT NULL AND once

-- name: stands_no_more
-- $1 event
UPDATE trigger_event SET once = false WHERE id = $1

-- name: came_again
-- $1 event
UPDATE trigger_event SET repeats = repeats + 1 WHERE id = $1

-- name: refuse
-- Keeps an event whose name another one has, one of those that look alike. Returns its id.
-- $1 id, $2 trigger, $3 account, $4 source, $5 method, $6 query, $7 headers, $8 content type, $9 body, $10 digest,
-- $11 address, $12 verified, $13 what its source calls it, $14 ordering key
INSERT INTO trigger_event (id, account_id, trigger_id, source, method, query, headers, content_type, body, size, digest,
                           address, verified, provider_id, ordering_key)
VALUES ($1, $3, $2, $4, $5, $6, $7, $8, $9::bytea, octet_length($9), $10, $11, $12, $13, $14)
ON CONFLICT (trigger_id, provider_id, digest) WHERE run_id IS NULL DO UPDATE SET repeats = trigger_event.repeats + 1
RETURNING id

-- name: refused
-- A request that did not prove to come from the trigger's source. The same again from the same address within a minute
-- is not written again, so that nobody can fill the log.
-- $1 id, $2 account, $3 trigger, $4 address
INSERT INTO audit (id, account_id, type, about, meta)
SELECT $1, $2, 'trigger.refused', jsonb_build_object('triggerId', $3::text),
       jsonb_strip_nulls(jsonb_build_object('address', $4::text, 'code', 'NOT_AUTHENTICATED'))
WHERE NOT EXISTS (
    SELECT FROM audit a
    WHERE a.type = 'trigger.refused' AND a.at > now() - interval '1 minute'
      AND a.about ->> 'triggerId' = $3 AND a.meta ->> 'address' IS NOT DISTINCT FROM $4
)

-- name: run_of
-- $1 trigger, $2 event
SELECT run_id FROM trigger_event WHERE trigger_id = $1 AND id = $2

-- name: owned
-- $1 account, $2 trigger
SELECT id FROM trigger WHERE id = $2 AND account_id = $1

-- name: fetch
-- $1 account, $2 trigger, $3 event
SELECT e.*, e.body IS NOT NULL AS kept, r.state AS run_state, r.conversation_id
FROM trigger_event e LEFT JOIN run r ON r.id = e.run_id
WHERE e.id = $3 AND e.trigger_id = $2 AND e.account_id = $1

-- name: list
-- Without what was sent. An event has the state of its run, or was refused.
-- $1 trigger, $2 after, $3 take, $4 states, $5 since, $6 until
SELECT id, trigger_id, source, method, '{}'::jsonb AS query, '{}'::jsonb AS headers, content_type, NULL::bytea AS body, kept,
       size, address, verified, provider_id, ordering_key, run_id, run_state, conversation_id, replay_of, repeats, received_at
FROM (
    SELECT e.*, e.body IS NOT NULL AS kept, r.state AS run_state, r.conversation_id
    FROM trigger_event e LEFT JOIN run r ON r.id = e.run_id
    WHERE e.trigger_id = $1 AND e.id /* after */ < $2
      AND ($4::text[] IS NULL OR coalesce(r.state, 'refused') = ANY ($4))
      AND ($5::timestamptz IS NULL OR e.received_at >= $5) AND ($6::timestamptz IS NULL OR e.received_at < $6)
) AS told
ORDER BY id DESC LIMIT $3
