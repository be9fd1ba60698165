-- Reading runs and their steps.

-- name: fetch
-- $1 account, $2 run
SELECT r.*, c.name AS channel, (SELECT id FROM trigger_event WHERE run_id = r.id) AS event_id FROM run r JOIN channel c ON c.id = r.channel_id
WHERE r.id = $2 AND r.account_id = $1

-- name: list
-- Without what was asked, which is long and not shown.
-- $1 account, $2 after, $3 take, $4 kinds, $5 states, $6 conversations, $7 bots, $8 contacts, $9 since, $10 tasks,
-- $11 triggers
SELECT r.id, r.account_id, r.kind, r.lane, r.state, r.conversation_id, r.bot_id, r.contact_id, r.task_id, r.trigger_id, r.channel_id,
       r.workflow_id, r.accepted_seq, r.created_at, r.admitted_at, r.begun_at, r.ended_at, r.end_reason,
       r.error_code, r.error_message, r.message_id, r.input_tokens, r.output_tokens, r.wasted_tokens, r.budget, r.short_at,
       r.keyed, r.outcome, r.parked_at,
       r.merged_into, c.name AS channel, NULL AS request,
       (SELECT id FROM trigger_event WHERE run_id = r.id) AS event_id
FROM run r JOIN channel c ON c.id = r.channel_id
WHERE r.account_id = $1 AND r.id /* after */ < $2
  AND ($4::text[] IS NULL OR r.kind = ANY($4)) AND ($5::text[] IS NULL OR r.state = ANY($5))
  AND ($6::text[] IS NULL OR r.conversation_id = ANY($6)) AND ($7::text[] IS NULL OR r.bot_id = ANY($7))
  AND ($8::text[] IS NULL OR r.contact_id = ANY($8))
  AND ($10::text[] IS NULL OR r.task_id = ANY($10) AND r.trigger_id IS NULL)
  AND ($11::text[] IS NULL OR r.trigger_id = ANY($11))
  AND ($9::timestamptz IS NULL OR r.created_at >= $9)
ORDER BY r.id DESC LIMIT $3

-- name: steps
-- $1 run
SELECT s.ordinal, s.kind, s.state, s.iteration, s.attempt, s.model, s.error_code, s.error_message, s.input_tokens,
       s.output_tokens, s.begun_at, s.ended_at, nullif(c.name, '') AS name, c.kind AS tool,
       c.effect, c.deadline, c.request_id, c.response_id
FROM step s LEFT JOIN call c ON c.run_id = s.run_id AND c.ordinal = s.ordinal
WHERE s.run_id = $1 ORDER BY s.ordinal

-- name: answer_text
-- $1 message
SELECT text FROM message WHERE id = $1
