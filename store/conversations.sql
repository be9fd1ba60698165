-- Conversations.

-- name: create
-- $1 id, $2 account, $3 name, $4 description, $5 meta, $6 bot, $7 contact, $8 model, $9 backstory, $10 skillset,
-- $11 on busy, $12 expires at, $13 task
INSERT INTO conversation (id, account_id, name, description, meta, bot_id, contact_id, model, backstory, skillset_id,
                          on_busy, expires_at, task_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: fetch
-- $1 account, $2 conversation
SELECT * FROM conversation WHERE id = $2 AND account_id = $1

-- name: list
-- Rows come until they have so many bytes, and at least one.
-- $1 account, $2 after, $3 take, $4 meta, $5 bots, $6 contacts, $7 tasks, $8 the most bytes but for the last row
SELECT * FROM (
    SELECT *, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT *, coalesce(octet_length(backstory), 0) + coalesce(octet_length(description), 0) + octet_length(meta::text) AS bytes
        FROM conversation
        WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4
          AND ($5::text[] IS NULL OR bot_id = ANY ($5)) AND ($6::text[] IS NULL OR contact_id = ANY ($6))
          AND ($7::text[] IS NULL OR task_id = ANY ($7))
        ORDER BY id DESC LIMIT $3
    ) AS rows
) AS page
WHERE before < $8 ORDER BY id DESC

-- name: update
-- Only the columns named in $3 change; meta is merged, and cleared by null.
-- $1 account, $2 conversation, $3 columns, $4 name, $5 description, $6 meta, $7 bot, $8 contact, $9 model,
-- $10 backstory, $11 skillset, $12 on busy, $13 expires at, $14 task
UPDATE conversation SET
    name = CASE WHEN 'name' = ANY ($3::text[]) THEN $4 ELSE name END,
    description = CASE WHEN 'description' = ANY ($3) THEN $5 ELSE description END,
    meta = CASE WHEN 'meta' = ANY ($3) THEN coalesce(meta || $6::jsonb, '{}') ELSE meta END,
    bot_id = CASE WHEN 'bot_id' = ANY ($3) THEN $7 ELSE bot_id END,
    contact_id = CASE WHEN 'contact_id' = ANY ($3) THEN $8 ELSE contact_id END,
    model = CASE WHEN 'model' = ANY ($3) THEN $9 ELSE model END,
    backstory = CASE WHEN 'backstory' = ANY ($3) THEN $10 ELSE backstory END,
    skillset_id = CASE WHEN 'skillset_id' = ANY ($3) THEN $11 ELSE skillset_id END,
    on_busy = CASE WHEN 'on_busy' = ANY ($3) THEN $12 ELSE on_busy END,
    expires_at = CASE WHEN 'expires_at' = ANY ($3) THEN $13 ELSE expires_at END,
    task_id = CASE WHEN 'task_id' = ANY ($3) THEN $14 ELSE task_id END,
    updated_at = clock_timestamp(), touched_on = (clock_timestamp() AT TIME ZONE 'UTC')::date
WHERE id = $2 AND account_id = $1
RETURNING CASE WHEN 'meta' = ANY ($3) THEN octet_length(meta::text) ELSE 0 END AS meta_bytes

-- name: lock
-- $1 account, $2 conversation
SELECT id FROM conversation WHERE id = $2 AND account_id = $1 FOR UPDATE

-- name: unfinished
-- $1 conversation
SELECT id FROM run WHERE conversation_id = $1 AND ended_at IS NULL ORDER BY id

-- name: forget_words
-- $1 conversation
WITH gone AS (
    UPDATE run SET request = NULL, error_code = 'NOT_FOUND', error_message = NULL, message_id = NULL
    WHERE conversation_id = $1 RETURNING id, channel_id
), steps AS (
    UPDATE step SET error_message = NULL, carry = NULL FROM gone WHERE step.run_id = gone.id
), published AS (
    -- What others answered their calls, and no more: these channels may be others' too.
    DELETE FROM event USING gone JOIN call ON call.run_id = gone.id
    WHERE event.channel_id = call.channel_id AND event.seq = call.taken
), executions AS (
    UPDATE execution SET name = NULL, description = NULL, summary = NULL FROM gone WHERE execution.id = gone.id
), deliveries AS (
    -- What was not sent yet never will be.
    UPDATE delivery SET body = NULL, look_at = NULL, error_code = CASE WHEN state = 'delivered' THEN error_code ELSE 'DELETED' END,
                        state = CASE WHEN state = 'pending' THEN 'dead' ELSE state END,
                        ended_at = coalesce(ended_at, clock_timestamp())
    FROM gone WHERE delivery.run_id = gone.id
), sent AS (
    UPDATE delivery_attempt SET headers = '{}', body = NULL FROM delivery JOIN gone ON gone.id = delivery.run_id
    WHERE delivery_attempt.delivery_id = delivery.id
), set_off AS (
    -- What its source calls it stays: another of that name is still the same event.
    UPDATE trigger_event SET body = NULL, headers = '{}', query = '{}', content_type = NULL, ordering_key = NULL
    FROM gone WHERE trigger_event.run_id = gone.id
), calls AS (
    DELETE FROM call USING gone WHERE call.run_id = gone.id
), tokens AS (
    DELETE FROM token USING gone WHERE token.channel_id = gone.channel_id
), events AS (
    DELETE FROM event USING gone WHERE event.channel_id = gone.channel_id
)
SELECT id, channel_id FROM gone

-- name: forget_told
-- What later runs of the same tasks were told that these had said, in `_getTaskDetails` (store/briefing.py).
-- $1 runs whose words are gone
WITH later AS (
    SELECT id, channel_id FROM run WHERE last_run_id = ANY ($1::text[])
), messages AS (
    UPDATE message SET meta = meta #- '{activity,function,result,lastExecution,summary}'
    FROM later WHERE message.run_id = later.id AND message.step IS NOT NULL AND message.key = later.id || '/details/response'
)
SELECT event.channel_id, event.seq, event.data
FROM later JOIN event ON event.channel_id = later.channel_id AND event.type = 'message'
WHERE strpos(event.data, '"name":"_getTaskDetails"') > 0

-- name: retell
-- $1 channel, $2 seq, $3 data
UPDATE event SET data = $3 WHERE channel_id = $1 AND seq = $2

-- name: bury
-- Channels become tombstones without text; readers are told NOT_FOUND.
-- $1 channels, $2 the data of the last event
WITH buried AS (
    UPDATE channel SET open = false, closed_at = clock_timestamp(), deleted = true, emptied = false,
                       seq = seq + 1
    WHERE id = ANY ($1::bigint[]) RETURNING id, seq, step, attempt
)
INSERT INTO event (channel_id, seq, step, attempt, type, data)
SELECT id, seq, step, attempt, 'error', $2 FROM buried

-- name: delete
-- Its messages and ratings go with it.
-- $1 conversation
DELETE FROM conversation WHERE id = $1

-- name: wake
SELECT pg_notify('holdfast_log', ''), pg_notify('holdfast_end', '')
