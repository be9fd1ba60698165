-- What sets a trigger off, and the run of it. Order of the locks: the event's name (its row in the index of names),
-- bot, ordering key, contact, session, conversation, run.

-- name: keep
-- Writes an event, holding its trigger and that one's bot; nothing where an event of that name is there. Whoever writes
-- the same name at this moment is waited for.
-- $1 id, $2 trigger, $3 account, $4 source, $5 method, $6 query, $7 headers, $8 content type, $9 body, $10 digest,
-- $11 address, $12 verified, $13 what its source calls it, $14 ordering key, $15 run, $16 the event it repeats
WITH held AS (
    SELECT id, account_id, name, description, bot_id, session_duration FROM trigger
    WHERE id = $2 AND account_id = $3 FOR KEY SHARE
), kept AS (
    INSERT INTO trigger_event (id, account_id, trigger_id, source, method, query, headers, content_type, body, size, digest,
                               address, verified, provider_id, ordering_key, run_id, replay_of, once)
    SELECT $1, account_id, id, $4, $5, $6, $7, $8, $9::bytea, octet_length($9), $10, $11, $12, $13, $14, $15, $16,
           $16::text IS NULL
    FROM held
    ON CONFLICT (trigger_id, provider_id) WHERE provider_id IS NOT NULL AND run_id IS NOT NULL AND once DO NOTHING
    RETURNING trigger_id
), bot AS (
    SELECT b.id FROM kept JOIN held ON true JOIN bot b ON b.id = held.bot_id FOR KEY SHARE OF b
)
SELECT h.name, h.description, (SELECT id FROM bot) AS bot_id, h.session_duration, k.schedule, k.timezone
FROM kept JOIN held h ON true LEFT JOIN task k ON k.trigger_id = h.id

-- name: in_line
-- Events of one key are written one at a time.
-- $1 ordering key
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: session
-- Holds a session, which may be new; says in which conversation it goes on, if its time is not over.
-- $1 trigger, $2 key, $3 how long a conversation serves
INSERT INTO trigger_session (trigger_id, key) VALUES ($1, $2)
ON CONFLICT (trigger_id, key) DO UPDATE SET key = excluded.key
RETURNING CASE WHEN begun_at > clock_timestamp() - $3::interval THEN conversation_id END

-- name: go_on
-- The conversation of a session, while it is there and its bot is the trigger's.
-- $1 account, $2 conversation, $3 bot
SELECT id, contact_id FROM conversation WHERE id = $2 AND account_id = $1 AND bot_id IS NOT DISTINCT FROM $3 FOR UPDATE

-- name: begin
-- A new conversation, which the session goes on in from now on, and the channel of its first run. Returns that one.
-- $1 conversation, $2 account, $3 name, $4 description, $5 meta, $6 bot, $7 contact, $8 id of the audit log's entry,
-- $9 its about, $10 its meta, $11 trigger, $12 key of the session or null, $13 name of the channel, $14 run
WITH told AS (
    INSERT INTO audit (id, account_id, type, about, meta) VALUES ($8, $2, 'conversation.create', $9, $10)
), used AS (
    INSERT INTO usage (account_id, conversation_id, bot_id, conversations, messages) VALUES ($2, $1, $6, 1, 0)
), linked AS (
    UPDATE trigger_session SET conversation_id = $1, begun_at = clock_timestamp() WHERE trigger_id = $11 AND key = $12
), begun AS (
    INSERT INTO conversation (id, account_id, name, description, meta, bot_id, contact_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
)
INSERT INTO channel (account_id, name, run_id) VALUES ($2, $13, $14) RETURNING id

-- name: channel
-- Of a run in a conversation that is held.
-- $1 account, $2 name, $3 run
INSERT INTO channel (account_id, name, run_id) VALUES ($1, $2, $3) RETURNING id
