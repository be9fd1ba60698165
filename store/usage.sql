-- Usage: runs that ended, and what was used without a run; of hours that are over, their sums. A period has its
-- beginning and not its end.

-- name: count
-- $1 account, $2 conversation, $3 bot or null, $4 conversations, $5 messages
INSERT INTO usage (account_id, conversation_id, bot_id, conversations, messages) VALUES ($1, $2, $3, $4, $5)

-- name: used
-- Of an account, or of one of its bots. Whole hours that are folded come from their sums; what lies before the first
-- of them and after the last one is counted from rows.
-- $1 account, $2 bot or null, $3 beginning or null, $4 end or null
WITH folded AS (
    SELECT coalesce(max(hour) + interval '1 hour', '-infinity') AS until FROM usage_hour WHERE subject = ''
), asked AS (
    SELECT coalesce($3::timestamptz, '-infinity') AS lo, coalesce($4::timestamptz, 'infinity') AS hi
), first AS (
    SELECT date_trunc('hour', lo + interval '1 hour' - interval '1 microsecond', 'UTC') AS hour FROM asked
), span AS (
    SELECT lo, hi, first.hour AS first, greatest(first.hour, least(date_trunc('hour', hi, 'UTC'), until)) AS last
    FROM asked, first, folded
), sums AS (
    SELECT h.tokens, h.conversations, h.messages
    FROM span, usage_hour AS h
    WHERE h.subject = coalesce($2, $1) AND h.hour >= first AND h.hour < last
    UNION ALL
    SELECT r.tokens, u.conversations, r.messages + u.messages
    FROM span, LATERAL (VALUES (lo, least(first, hi)), (last, hi)) AS rest (lo, hi), LATERAL (
        SELECT sum((input_tokens + output_tokens)::int) AS tokens, coalesce(sum(messages), 0) AS messages
        FROM run
        WHERE account_id = $1 AND ended_at >= rest.lo AND ended_at < rest.hi AND ($2 IS NULL OR bot_id = $2)
    ) AS r, LATERAL (
        SELECT sum(conversations) AS conversations, coalesce(sum(messages), 0) AS messages
        FROM usage
        WHERE account_id = $1 AND at >= rest.lo AND at < rest.hi AND ($2 IS NULL OR bot_id = $2)
    ) AS u
)
SELECT coalesce(sum(tokens), 0)::bigint AS tokens, coalesce(sum(conversations), 0)::bigint AS conversations,
       coalesce(sum(messages), 0)::bigint AS messages
FROM sums
HAVING $2 IS NULL OR EXISTS (SELECT FROM bot WHERE id = $2 AND account_id = $1)

-- name: of_conversation
-- $1 account, $2 conversation, $3 beginning or null, $4 end or null
SELECT r.tokens, u.conversations, r.messages + u.messages AS messages
FROM conversation AS v, LATERAL (
    SELECT coalesce(sum(input_tokens + output_tokens), 0)::bigint AS tokens,
           coalesce(sum(messages), 0) AS messages
    FROM run
    WHERE conversation_id = v.id AND ended_at >= coalesce($3::timestamptz, '-infinity')
      AND ended_at < coalesce($4::timestamptz, 'infinity')
) AS r, LATERAL (
    SELECT coalesce(sum(conversations), 0) AS conversations, coalesce(sum(messages), 0) AS messages
    FROM usage
    WHERE conversation_id = v.id AND at >= coalesce($3, '-infinity') AND at < coalesce($4, 'infinity')
) AS u
WHERE v.id = $2 AND v.account_id = $1

-- name: series
-- The last days in UTC, today included, those without anything too. 24 hours are a day in every time zone.
-- $1 account, $2 how many days
WITH folded AS (
    SELECT coalesce(max(hour) + interval '1 hour', '-infinity') AS until FROM usage_hour WHERE subject = ''
), asked AS (
    SELECT date_trunc('day', now(), 'UTC') - ($2::int - 1) * interval '24 hours' AS lo
), sums AS (
    SELECT hour AS at, tokens, conversations, messages
    FROM asked, usage_hour WHERE subject = $1 AND hour >= lo
    UNION ALL
    SELECT ended_at, input_tokens + output_tokens, 0, messages
    FROM asked, folded, run WHERE account_id = $1 AND ended_at >= greatest(lo, until)
    UNION ALL
    SELECT at, 0, conversations, messages
    FROM asked, folded, usage WHERE account_id = $1 AND at >= greatest(lo, until)
), days AS (
    SELECT date_trunc('day', at, 'UTC') AS day, sum(tokens)::bigint AS tokens,
           sum(conversations)::bigint AS conversations, sum(messages)::bigint AS messages
    FROM sums GROUP BY 1
)
SELECT day, coalesce(tokens, 0) AS tokens, coalesce(conversations, 0) AS conversations,
       coalesce(messages, 0) AS messages
FROM asked, generate_series(lo, now(), interval '24 hours') AS calendar (day) LEFT JOIN days USING (day)
ORDER BY day

-- name: tokens_today
-- $1 account
WITH folded AS (
    SELECT coalesce(max(hour) + interval '1 hour', '-infinity') AS until FROM usage_hour WHERE subject = ''
), asked AS (
    SELECT date_trunc('day', now(), 'UTC') AS lo
)
SELECT coalesce((SELECT sum(tokens) FROM asked, usage_hour WHERE subject = $1 AND hour >= lo), 0)::bigint
       + coalesce((SELECT sum((input_tokens + output_tokens)::int) FROM asked, folded, run
                   WHERE account_id = $1 AND ended_at >= greatest(lo, until)), 0)

-- name: unfolded
-- The next hour to fold, once nobody can still add to it: a transaction is over seconds after its last statement.
SELECT hour FROM (
    SELECT coalesce((SELECT max(hour) + interval '1 hour' FROM usage_hour WHERE subject = ''),
                    (SELECT date_trunc('hour', min(created_at), 'UTC') FROM account)) AS hour
) AS next
WHERE hour < now() - interval '65 minutes'

-- name: fold
-- $1 hour
WITH used AS (
    SELECT a.id AS account_id, r.bot_id, r.input_tokens + r.output_tokens AS tokens, 0 AS conversations, r.messages
    FROM account AS a, LATERAL (
        SELECT * FROM run
        WHERE account_id = a.id AND ended_at >= $1::timestamptz AND ended_at < $1 + interval '1 hour'
    ) AS r
    UNION ALL
    SELECT a.id, u.bot_id, 0, u.conversations, u.messages
    FROM account AS a, LATERAL (
        SELECT * FROM usage WHERE account_id = a.id AND at >= $1 AND at < $1 + interval '1 hour'
    ) AS u
)
INSERT INTO usage_hour (subject, hour, tokens, conversations, messages)
SELECT coalesce(account_id, bot_id, ''), $1, coalesce(sum(tokens), 0), coalesce(sum(conversations), 0),
       coalesce(sum(messages), 0)
FROM used GROUP BY GROUPING SETS ((account_id), (bot_id), ())
-- Not those without a bot, as if they were one.
HAVING grouping(bot_id) = 1 OR bot_id IS NOT NULL
ON CONFLICT DO NOTHING

-- name: forget
-- Rows of an hour so many days before one that is to be folded, their conversation gone. Their hour's sums stay.
-- Returns how many.
-- $1 hour, $2 days, $3 how many at most
WITH old AS (
    SELECT $1::timestamptz - $2::int * interval '24 hours' AS hour
), gone AS (
    DELETE FROM usage WHERE ctid = ANY (ARRAY(
        SELECT u.ctid FROM old, account AS a, LATERAL (
            SELECT ctid, conversation_id FROM usage
            WHERE account_id = a.id AND at >= old.hour AND at < old.hour + interval '1 hour'
        ) AS u
        WHERE NOT EXISTS (SELECT FROM conversation WHERE id = u.conversation_id) LIMIT $3
    )) RETURNING 1
)
SELECT count(*) FROM gone

-- name: list
-- What each run used, of those that used something.
-- $1 account, $2 after, $3 take, $4 types, $5 conversations, $6 bots, $7 contacts, $8 messages, $9 tasks,
-- $10 triggers
SELECT id, type, input_tokens + output_tokens AS count, conversation_id, bot_id, contact_id,
       CASE WHEN trigger_id IS NULL THEN task_id END AS task_id, trigger_id,
       (SELECT e.id FROM trigger_event e WHERE e.run_id = run.id) AS event_id,
       message_id, created_at, ended_at AS updated_at
FROM run, LATERAL (
    SELECT CASE WHEN kind = 'task_run' THEN 'task' WHEN kind = 'trigger_event' THEN 'integration/trigger'
                WHEN lane = 'background' THEN 'conversation/dispatch'
                ELSE 'conversation/complete' END AS type
) AS named
WHERE account_id = $1 AND id /* after */ < $2
  AND ended_at IS NOT NULL AND input_tokens + output_tokens > 0
  AND ($4::text[] IS NULL OR type = ANY ($4)) AND ($5::text[] IS NULL OR conversation_id = ANY ($5))
  AND ($6::text[] IS NULL OR bot_id = ANY ($6)) AND ($7::text[] IS NULL OR contact_id = ANY ($7))
  AND ($8::text[] IS NULL OR message_id = ANY ($8)) AND ($9::text[] IS NULL OR task_id = ANY ($9) AND trigger_id IS NULL)
  AND ($10::text[] IS NULL OR trigger_id = ANY ($10))
ORDER BY id DESC LIMIT $3
