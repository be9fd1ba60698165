-- The locks of a run, always taken in this order: conversation, run, channel, step.

-- name: lock_conversation
-- $1 run
SELECT id FROM conversation WHERE id = (SELECT conversation_id FROM run WHERE id = $1) FOR UPDATE

-- name: lock_run
-- $1 run, $2 whether its request is read: that of a stateless run may be long
SELECT r.id, r.account_id, r.kind, r.lane, r.state, r.conversation_id, r.bot_id, r.contact_id, r.task_id, r.trigger_id, r.workflow_id,
       CASE WHEN $2 THEN r.request END AS request, r.begun_seq, r.created_at, r.keyed, r.traceparent, r.input_tokens, r.output_tokens,
       r.wasted_tokens, r.budget, r.short_at IS NOT NULL AS short,
       extract(epoch FROM clock_timestamp() - r.created_at)::float8 AS age,
       c.id AS channel_id, c.step, c.attempt, c.fence, c.n,
       EXISTS (SELECT FROM run j WHERE j.conversation_id = r.conversation_id AND j.admitted_at IS NULL
               AND j.ended_at IS NULL AND j.joins = r.id) AS joined,
       EXISTS (SELECT FROM named_channel n WHERE n.run_id = r.id) AS names,
       r.kind IN ('task_run', 'trigger_event') OR r.targets IS NOT NULL AS delivers
FROM run r JOIN channel c ON c.id = r.channel_id
WHERE r.id = $1
FOR UPDATE OF r, c

-- name: add_message
-- $1 id, $2 conversation, $3 key, $4 type, $5 text, $6 meta, $7 run, $8 name, $9 description
WITH place AS (
    UPDATE conversation SET messages = messages + 1, updated_at = clock_timestamp(),
                            touched_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
    WHERE id = $2 RETURNING messages
)
INSERT INTO message (id, conversation_id, seq, key, type, text, meta, run_id, name, description, created_at,
                     updated_at)
SELECT $1, $2, messages, $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), clock_timestamp() FROM place
RETURNING seq

-- name: keep_in_conversation
-- $1 conversation, $2 run, $3 ids, $4 keys, $5 types, $6 texts, $7 metas, $8 steps
WITH place AS (
    UPDATE conversation SET messages = messages + cardinality($3::text[]), updated_at = clock_timestamp(),
                            touched_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
    WHERE id = $1 RETURNING messages - cardinality($3::text[]) AS base
), counted AS (
    UPDATE run SET messages = messages + cardinality($3::text[]) WHERE id = $2
)
INSERT INTO message (id, conversation_id, seq, key, type, text, meta, run_id, step, created_at, updated_at)
SELECT g.id, $1, base + ord, g.key, g.type, g.text, g.meta, $2, g.step, clock_timestamp(), clock_timestamp()
FROM place, unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::integer[])
            WITH ORDINALITY AS g (id, key, type, text, meta, step, ord)

-- name: keep_with_run
-- $1 and $2 run, $3 ids, $4 keys, $5 types, $6 texts, $7 metas, $8 steps
INSERT INTO message (id, seq, key, type, text, meta, run_id, step, created_at, updated_at)
SELECT g.id, ord + (SELECT coalesce(max(seq), 0) FROM message WHERE run_id = $1 AND step IS NOT NULL),
       g.key, g.type, g.text, g.meta, $2, g.step, clock_timestamp(), clock_timestamp()
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::integer[])
     WITH ORDINALITY AS g (id, key, type, text, meta, step, ord)

-- name: touch
-- Before anything else of the conversation is locked: a weaker lock made stronger later could deadlock.
-- $1 account, $2 conversation
UPDATE conversation SET updated_at = clock_timestamp(), touched_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
WHERE id = $2 AND account_id = $1
RETURNING id

-- name: append
-- $1 channel, $2 types, $3 data, $4 whether the last one closes it
WITH given AS (
    SELECT ord, type, data FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS g (type, data, ord)
), place AS (
    UPDATE channel SET seq = seq + cardinality($2::text[]), touched_at = clock_timestamp(), open = NOT $4,
                       closed_at = CASE WHEN $4 THEN clock_timestamp() END
    WHERE id = $1 AND open
    RETURNING seq - cardinality($2::text[]) AS base, step, attempt
), tokens AS (
    INSERT INTO token (channel_id, seq, step, attempt, type, data)
    SELECT $1, base + ord, step, attempt, type, data FROM place, given
    WHERE type IN ('token', 'reasoningToken')
), events AS (
    INSERT INTO event (channel_id, seq, step, attempt, type, data)
    SELECT $1, base + ord, step, attempt, type, data FROM place, given
    WHERE type NOT IN ('token', 'reasoningToken')
)
SELECT base, pg_notify('holdfast_log', ''), CASE WHEN $4 THEN pg_notify('holdfast_end', '') END FROM place
