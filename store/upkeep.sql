-- Retention: what is no longer needed goes. Each statement is bounded, so each may leave work for the next round.

-- name: days
-- The days of the token log, and those a broken-off removal left behind.
SELECT day.relname AS name, i.inhparent IS NOT NULL AS attached, coalesce(i.inhdetachpending, false) AS leaving
FROM pg_class day
LEFT JOIN pg_inherits i ON i.inhrelid = day.oid
WHERE day.relkind = 'r' AND day.relname ~ '^token_[0-9]{8}$' AND pg_table_is_visible(day.oid)

-- name: lock_days
SELECT pg_advisory_xact_lock(hashtext('holdfast.token.days'))

-- name: scrub
-- The words of stateless completions: of one run, or of those that are due. Returns how many.
-- Its plan may hold a run that was just answered: who names one waits for it, and only the rounds pass over it.
-- $1 run or null
WITH named AS (
    SELECT id, channel_id FROM run WHERE scrub_at IS NOT NULL AND id = $1 FOR UPDATE
), ripe AS (
    SELECT id, channel_id FROM run WHERE $1 IS NULL AND scrub_at < now() LIMIT 500 FOR UPDATE SKIP LOCKED
), due AS (
    SELECT * FROM named UNION ALL SELECT * FROM ripe
), tokens AS (
    DELETE FROM token USING due WHERE token.channel_id = due.channel_id
), events AS (
    DELETE FROM event USING due WHERE event.channel_id = due.channel_id
), published AS (
    -- What others answered its calls, and no more: these channels may be others' too.
    DELETE FROM event USING due JOIN call ON call.run_id = due.id
    WHERE event.channel_id = call.channel_id AND event.seq = call.taken
), steps AS (
    UPDATE step SET error_message = NULL, carry = NULL FROM due WHERE step.run_id = due.id
), calls AS (
    -- All but a stored ability is called what the request or the model said.
    UPDATE call SET name = '' FROM due
    WHERE call.run_id = due.id AND (call.source IS NULL OR call.source LIKE 'request/%')
), messages AS (
    DELETE FROM message USING due WHERE message.run_id = due.id AND message.step IS NOT NULL
), done AS (
    UPDATE run SET scrub_at = NULL, error_message = NULL FROM due WHERE run.id = due.id RETURNING run.id
)
SELECT count(*) FROM done

-- name: expire_events
-- Events that are not tokens go 24 hours after their channel closed, at the earliest. Returns how many channels.
WITH due AS (
    SELECT id, run_id FROM channel WHERE closed_at < now() - interval '24 hours' AND NOT emptied
    LIMIT 500 FOR UPDATE SKIP LOCKED
), events AS (
    DELETE FROM event USING due WHERE event.channel_id = due.id
), published AS (
    DELETE FROM event USING due JOIN run ON run.id = due.run_id JOIN call ON call.run_id = run.id
    WHERE run.conversation_id IS NULL AND event.channel_id = call.channel_id AND event.seq = call.taken
), steps AS (
    UPDATE step SET carry = NULL FROM due JOIN run ON run.id = due.run_id
    WHERE step.run_id = due.run_id AND step.carry IS NOT NULL AND run.conversation_id IS NULL
), calls AS (
    UPDATE call SET name = '' FROM due JOIN run ON run.id = due.run_id
    WHERE call.run_id = due.run_id AND run.conversation_id IS NULL
      AND (call.source IS NULL OR call.source LIKE 'request/%')
), messages AS (
    -- Of a stateless run, which lives as long as its channel.
    DELETE FROM message USING due
    WHERE message.run_id = due.run_id AND message.step IS NOT NULL AND message.conversation_id IS NULL
), deliveries AS (
    -- One that is still on its way, or a dead letter, keeps its words: it may be sent again.
    UPDATE delivery SET body = NULL FROM due JOIN run ON run.id = due.run_id
    WHERE delivery.run_id = due.run_id AND delivery.state = 'delivered' AND run.conversation_id IS NULL
), sent AS (
    -- A receiver may have said the words again.
    UPDATE delivery_attempt SET headers = '{}', body = NULL
    FROM due JOIN run ON run.id = due.run_id JOIN delivery d ON d.run_id = run.id
    WHERE delivery_attempt.delivery_id = d.id AND d.state = 'delivered' AND run.conversation_id IS NULL
), done AS (
    UPDATE channel SET emptied = true FROM due WHERE channel.id = due.id RETURNING channel.id
)
SELECT count(*) FROM done

-- name: expire_published
-- What clients published and nobody named in a run: kept 7 days. Returns how many.
WITH done AS (
    DELETE FROM event WHERE (channel_id, seq) IN (
        SELECT e.channel_id, e.seq FROM event e
        WHERE e.type = 'published' AND e.at < now() - interval '7 days'
          -- What an unfinished run may still take stays for it.
          AND NOT EXISTS (SELECT FROM named_channel n JOIN channel c ON c.id = n.channel_id
                          WHERE n.channel_id = e.channel_id AND e.seq > c.taken)
        LIMIT 500
    ) RETURNING seq
)
SELECT count(*) FROM done

-- name: expire_keys
-- Returns how many.
WITH done AS (
    DELETE FROM idempotency WHERE (account_id, route, key) IN (
        SELECT account_id, route, key FROM idempotency
        WHERE created_at < now() - interval '48 hours' LIMIT 500
    ) RETURNING key
)
SELECT count(*) FROM done

-- name: expire_sessions
-- Kept longer than an Idempotency-Key, so that a repeat of the call that made one finds it. Returns how many.
WITH done AS (
    DELETE FROM session WHERE id IN (
        SELECT id FROM session WHERE expires_at < now() - interval '48 hours' LIMIT 500
    ) RETURNING id
)
SELECT count(*) FROM done

-- name: expire_executions
-- 90 days after they were made, if their runs have ended. Returns how many.
WITH done AS (
    DELETE FROM execution WHERE id IN (
        SELECT e.id FROM execution e JOIN run r ON r.id = e.id
        WHERE e.created_at < now() - interval '90 days' AND r.ended_at IS NOT NULL LIMIT 500
    ) RETURNING id
)
SELECT count(*) FROM done

-- name: expire_occurrences
-- 400 days after they were due and decided: what is to come stays. Returns how many.
WITH done AS (
    DELETE FROM occurrence WHERE (task_id, key) IN (
        SELECT task_id, key FROM occurrence
        WHERE greatest(at, decided_at) < now() - interval '400 days' AND decided_at IS NOT NULL LIMIT 500
    ) RETURNING key
)
SELECT count(*) FROM done

-- name: expire_deliveries
-- Those that have arrived, with their attempts; never a dead letter.
-- $1 days. Returns how many.
WITH done AS (
    DELETE FROM delivery WHERE id IN (
        SELECT id FROM delivery WHERE state = 'delivered' AND ended_at < now() - $1 * interval '1 day' LIMIT 500
    ) RETURNING id
)
SELECT count(*) FROM done

-- name: old_targets
-- Of calls, those that were not named or seen to be needed for so long; held. Whoever names one meanwhile waits, and makes it
-- anew if it goes.
-- $1 kind, $2 days, $3 how many
SELECT id FROM target WHERE said IS NOT NULL AND kind = $1 AND seen_at < now() - $2 * interval '1 day'
ORDER BY seen_at LIMIT $3 FOR UPDATE SKIP LOCKED

-- name: forget_targets
-- Those of some held ones that no delivery and no run needs that goes on.
-- $1 targets
WITH used AS (
    SELECT one.id FROM unnest($1::text[]) AS one (id)
    WHERE EXISTS (SELECT FROM delivery WHERE target_id = one.id)
       OR EXISTS (SELECT FROM run WHERE targets @> ARRAY[one.id] AND targets IS NOT NULL AND ended_at IS NULL)
), seen AS (
    UPDATE target SET seen_at = now() FROM used WHERE target.id = used.id
)
DELETE FROM target WHERE id = ANY ($1) AND id NOT IN (SELECT id FROM used)

-- name: expire_audit
-- $1 days. Returns how many.
WITH done AS (
    DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < now() - $1 * interval '1 day' LIMIT 500)
    RETURNING id
)
SELECT count(*) FROM done

-- name: forget_events
-- What came with events so old, unless a run is still to begin with it. Returns how many.
-- $1 days
WITH old AS (
    SELECT e.id FROM trigger_event e
    WHERE e.body IS NOT NULL AND e.received_at < now() - $1 * interval '1 day'
      AND NOT EXISTS (SELECT FROM run r WHERE r.id = e.run_id AND r.begun_at IS NULL AND r.ended_at IS NULL)
    LIMIT 500
), done AS (
    UPDATE trigger_event e SET body = NULL, headers = '{}', query = '{}', content_type = NULL, ordering_key = NULL
    FROM old WHERE e.id = old.id RETURNING e.id
)
SELECT count(*) FROM done

-- name: expire_trigger_events
-- Not before a second one of their names would be another event. Returns how many.
-- $1 days
WITH done AS (
    DELETE FROM trigger_event WHERE id IN (
        SELECT e.id FROM trigger_event e
        WHERE e.received_at < now() - greatest($1, 30) * interval '1 day' AND e.body IS NULL LIMIT 500
    ) RETURNING id
)
SELECT count(*) FROM done

-- name: expire_trigger_sessions
-- The longest lasts 31 days. Returns how many.
WITH done AS (
    DELETE FROM trigger_session WHERE (trigger_id, key) IN (
        SELECT trigger_id, key FROM trigger_session WHERE begun_at < now() - interval '32 days' LIMIT 500
    ) RETURNING key
)
SELECT count(*) FROM done
