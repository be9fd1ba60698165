-- The one end of every run. See held.sql for the order of the locks.

-- name: partial
-- $1 channel, $2 step, $3 attempt
SELECT coalesce(string_agg(data::json ->> 'token', '' ORDER BY seq), '')
FROM token WHERE channel_id = $1 AND step = $2 AND attempt = $3 AND type = 'token'

-- name: finish_run
-- $1 run, $2 state, $3 end reason, $4 error code, $5 error message, $6 message, $7 input tokens,
-- $8 output tokens, $9 whether its plan must be told, $10 id of the audit log's entry, $11 its meta,
-- $12 how many messages it added with its end
WITH ended AS (
UPDATE run SET state = $2, end_reason = $3, error_code = $4, error_message = $5, message_id = $6,
               input_tokens = input_tokens + $7, output_tokens = output_tokens + $8,
               messages = messages + $12,
               ended_at = clock_timestamp(), request = NULL,
               untold_at = CASE WHEN $9 AND admitted_at IS NOT NULL THEN clock_timestamp() END,
               scrub_at = CASE WHEN kind = 'completion' AND lane = 'interactive'
                          THEN clock_timestamp() + interval '5 minutes' END
WHERE id = $1
RETURNING id, account_id, state, conversation_id, bot_id, contact_id, message_id
)
INSERT INTO audit (id, account_id, type, about, meta)
SELECT $10, account_id, 'run.' || state,
       jsonb_strip_nulls(jsonb_build_object('runId', id, 'conversationId', conversation_id, 'botId', bot_id,
                                            'contactId', contact_id, 'messageId', message_id)), $11
FROM ended

-- name: finish_step
-- $1 run, $2 ordinal, $3 fence, $4 holder, $5 model, $6 input tokens, $7 output tokens
UPDATE step SET state = 'done', model = $5, input_tokens = $6, output_tokens = $7, error_code = NULL,
                error_message = NULL, ended_at = clock_timestamp()
WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND state = 'running'
RETURNING attempt

-- name: abandon_steps
-- $1 run
UPDATE step SET state = 'failed', error_code = coalesce(error_code, 'ABANDONED'), ended_at = clock_timestamp()
WHERE run_id = $1 AND state = 'running'

-- name: step_error
-- $1 run, $2 error code
SELECT error_message FROM step WHERE run_id = $1 AND error_code = $2 ORDER BY ordinal DESC LIMIT 1
