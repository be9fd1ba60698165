-- Messages, in the order of seq.

-- name: lock
-- $1 account, $2 conversation
SELECT id, bot_id FROM conversation WHERE id = $2 AND account_id = $1 FOR UPDATE

-- name: owned
-- $1 account, $2 conversation
SELECT id FROM conversation WHERE id = $2 AND account_id = $1

-- name: fetch
-- $1 account, $2 conversation, $3 message
SELECT m.* FROM message m JOIN conversation v ON v.id = m.conversation_id
WHERE m.id = $3 AND v.id = $2 AND v.account_id = $1

-- name: place
-- Where a message is, or was before it was deleted.
-- $1 conversation, $2 message
SELECT seq FROM message WHERE conversation_id = $1 AND id = $2
UNION ALL
SELECT seq FROM message_gone WHERE conversation_id = $1 AND id = $2

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 conversation, $2 seq after which, $3 take, $4 meta, $5 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY seq DESC) - bytes AS before FROM (
        SELECT *, octet_length(text) + coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM message
        WHERE conversation_id = $1 AND seq /* after */ < $2 AND meta @> $4 AND NOT hidden
        ORDER BY seq DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $5 ORDER BY seq DESC

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
RETURNING CASE WHEN 'meta' = ANY ($4) THEN octet_length(m.meta::text) ELSE 0 END AS meta_bytes

-- name: delete
-- Of a locked conversation. Its place stays known: a list that was read up to it goes on from there.
-- $1 conversation, $2 message
WITH gone AS (
    DELETE FROM message WHERE conversation_id = $1 AND id = $2 RETURNING conversation_id, id, seq
)
INSERT INTO message_gone (conversation_id, id, seq) SELECT conversation_id, id, seq FROM gone RETURNING id

-- name: unsay
-- Of a message that is about to be deleted: what its run sent of it. A delivery that was not made yet never will be, as
-- with its conversation. Its words are those of the run's answer, and of the cut ones that this goes on from:
-- see `before` in ending.sql.
-- $1 conversation, $2 message
WITH answered AS (
    SELECT r.id FROM message m JOIN run r ON r.id = m.run_id LEFT JOIN step s ON s.run_id = r.id AND s.ordinal = m.step
    WHERE m.conversation_id = $1 AND m.id = $2
      AND (r.message_id = m.id
           OR m.type = 'bot' AND s.reason = 'length'
              AND s.ordinal > (SELECT coalesce(max(ordinal), 0) FROM step WHERE run_id = r.id AND kind = 'call'))
), held AS (
    SELECT d.id FROM delivery d JOIN answered ON answered.id = d.run_id ORDER BY d.id FOR NO KEY UPDATE OF d
)
UPDATE delivery SET body = NULL, look_at = NULL, error_code = CASE WHEN state = 'delivered' THEN error_code ELSE 'DELETED' END,
                    state = CASE WHEN state = 'pending' THEN 'dead' ELSE state END, waits = false,
                    ended_at = coalesce(ended_at, clock_timestamp())
FROM held WHERE delivery.id = held.id
RETURNING delivery.id

-- name: unsay_answers
-- What receivers said, as they may have said the words again. Once the deliveries are held, so that no attempt is missed:
-- one that is still open is told nothing any more.
-- $1 deliveries
UPDATE delivery_attempt SET headers = '{}', body = NULL WHERE delivery_id = ANY ($1::text[])
