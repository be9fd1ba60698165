-- The one end of every run. See held.sql for the order of the locks.

-- name: partial
-- $1 channel, $2 step, $3 attempt
SELECT coalesce(string_agg(data::json ->> 'token', '' ORDER BY seq), '')
FROM token WHERE channel_id = $1 AND step = $2 AND attempt = $3 AND type = 'token'

-- name: lock_named
-- The channels of a run's functions. What comes next is decided in a later statement, which sees what they hold now.
-- $1 run
SELECT id FROM channel WHERE id IN (SELECT channel_id FROM named_channel WHERE run_id = $1) ORDER BY id FOR UPDATE

-- name: release
-- What was published to its functions and never taken goes with a run, unless another one named the channel too.
-- $1 run
WITH named AS (
    DELETE FROM named_channel WHERE run_id = $1 RETURNING channel_id
), free AS (
    SELECT id, seq, taken FROM channel
    WHERE id IN (SELECT channel_id FROM named)
      AND NOT EXISTS (SELECT FROM named_channel n WHERE n.channel_id = channel.id AND n.run_id <> $1)
), dropped AS (
    DELETE FROM event USING free
    WHERE event.channel_id = free.id AND event.seq > free.taken AND event.type = 'published'
), unwaited AS (
    -- What it waited for nobody looks after any more.
    UPDATE call SET channel_id = NULL WHERE run_id = $1 AND channel_id IS NOT NULL AND response_id IS NULL
)
UPDATE channel SET taken = free.seq FROM free WHERE channel.id = free.id AND free.seq > free.taken

-- name: finish_run
-- $1 run, $2 state, $3 end reason, $4 error code, $5 error message, $6 message, $7 input tokens,
-- $8 output tokens, $9 whether its plan must be told, $10 id of the audit log's entry, $11 its meta,
-- $12 how many messages it added with its end, $13 what its agent says of it, $14 the run it was merged into
WITH left_alone AS (
    -- What was to join it and was not read has a turn of its own.
    UPDATE run SET joins = NULL
    WHERE conversation_id = (SELECT conversation_id FROM run WHERE id = $1)
      AND admitted_at IS NULL AND ended_at IS NULL AND joins = $1
), heard AS (
    DELETE FROM unheard WHERE run_id = $1
), ended AS (
UPDATE run SET state = $2, end_reason = $3, error_code = $4, error_message = $5, message_id = $6,
               input_tokens = input_tokens + $7, output_tokens = output_tokens + $8,
               messages = messages + $12, outcome = $13, parked_at = NULL, short_at = NULL,
               joins = NULL, merged_into = $14,
               ended_at = clock_timestamp(), request = NULL,
               -- The plan of what is scheduled is there before its turn has come.
               untold_at = CASE WHEN $9 AND (admitted_at IS NOT NULL OR lane = 'scheduled') THEN clock_timestamp() END,
               scrub_at = CASE WHEN conversation_id IS NULL AND lane = 'interactive'
                          THEN clock_timestamp() + interval '5 minutes' END
WHERE id = $1
RETURNING id, account_id, state, conversation_id, bot_id, contact_id, CASE WHEN kind = 'task_run' THEN task_id END AS task_id,
          trigger_id, message_id
)
INSERT INTO audit (id, account_id, type, about, meta)
SELECT $10, account_id, 'run.' || state,
       jsonb_strip_nulls(jsonb_build_object('runId', id, 'conversationId', conversation_id, 'botId', bot_id,
                                            'contactId', contact_id, 'taskId', task_id, 'triggerId', trigger_id, 'messageId', message_id)), $11
FROM ended

-- name: summarize
-- What is told of a task's run in the list of its executions.
-- $1 run, $2 summary
UPDATE execution SET summary = nullif($2, '') WHERE id = $1

-- name: finish_step
-- $1 run, $2 ordinal, $3 fence, $4 holder, $5 model, $6 input tokens, $7 output tokens, $8 reason, $9 carry
UPDATE step SET state = 'done', model = $5, input_tokens = $6, output_tokens = $7, reason = $8, carry = $9,
                error_code = NULL, error_message = NULL, ended_at = clock_timestamp()
WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND state = 'running'
RETURNING iteration, attempt

-- name: before
-- What a run has said that its last answer goes on with, or that was its last: the answers that were cut since its
-- newest call.
-- $1 run
SELECT coalesce(string_agg(m.text, '' ORDER BY m.seq), '')
FROM message m JOIN step s ON s.run_id = m.run_id AND s.ordinal = m.step
WHERE m.run_id = $1 AND m.step IS NOT NULL AND m.type = 'bot' AND s.reason = 'length'
  AND s.ordinal > (SELECT coalesce(max(ordinal), 0) FROM step WHERE run_id = $1 AND kind = 'call')

-- name: said
-- What a run has said and asked so far: its newest words, how its agent settled it, what its caller is to answer.
-- $1 run, $2 whether all it has added is told with the latter: a stateless caller has it from nowhere else
WITH added AS (
    SELECT id, seq, type, text, meta FROM message WHERE run_id = $1 AND step IS NOT NULL
), spoken AS (
    SELECT id, text FROM added WHERE type = 'bot' ORDER BY seq DESC LIMIT 1
), settled AS (
    SELECT c.name, a.meta #>> '{activity,function,arguments,summary}' AS summary
    FROM call c LEFT JOIN added a ON a.id = c.request_id
    WHERE c.run_id = $1 AND c.kind = 'settle' AND c.last ORDER BY c.ordinal LIMIT 1
), asked AS (
    SELECT jsonb_agg(jsonb_build_object('type', a.type, 'text', a.text)
                     || CASE WHEN a.meta = '{}' THEN '{}' ELSE jsonb_build_object('meta', a.meta) END
                     ORDER BY c.run_id IS NOT NULL, a.seq) AS messages
    FROM added a LEFT JOIN call c ON c.run_id = $1 AND c.request_id = a.id AND c.kind = 'caller'
                                     AND c.response_id IS NULL
    WHERE c.run_id IS NOT NULL OR $2
)
SELECT (SELECT text FROM spoken) AS text,
       coalesce((SELECT id FROM spoken), (SELECT id FROM added ORDER BY seq DESC LIMIT 1)) AS message_id,
       (SELECT name FROM settled) AS settled, (SELECT summary FROM settled) AS summary,
       (SELECT messages FROM asked) AS asked,
       (SELECT input_tokens + output_tokens FROM run WHERE id = $1) AS tokens

-- name: hand_over
-- What a run's caller is to answer is done, as far as the run goes; its response comes with another one.
-- $1 run
UPDATE step SET state = 'done', ended_at = clock_timestamp() FROM call c
WHERE step.run_id = $1 AND step.state = 'waiting'
  AND c.run_id = step.run_id AND c.ordinal = step.ordinal AND c.kind = 'caller' AND c.response_id IS NULL

-- name: abandon_steps
-- $1 run
UPDATE step SET state = 'failed', error_code = coalesce(error_code, 'ABANDONED'), ended_at = clock_timestamp()
WHERE run_id = $1 AND state IN ('running', 'waiting')

-- name: hide
-- $1 conversation, $2 the seq its run began with, $3 run
-- What a task's run begins with comes before what its model sees as new.
UPDATE message SET hidden = true WHERE conversation_id = $1 AND run_id = $3 AND (seq >= $2 OR step IS NOT NULL)

-- name: step_error
-- $1 run, $2 error code
SELECT error_message FROM step WHERE run_id = $1 AND error_code = $2 ORDER BY ordinal DESC LIMIT 1
