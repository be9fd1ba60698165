-- The accept transaction. Order of the locks: idempotency key, skillset, bot, contact, task,
-- conversation, runs.

-- name: conversation
-- $1 account, $2 conversation
SELECT bot_id, contact_id, on_busy, coalesce(gathers_until > clock_timestamp(), false) AS gathers
FROM conversation WHERE id = $2 AND account_id = $1 FOR UPDATE

-- name: owned_skillset
-- Kept until the transaction ends, and locked before any bot or conversation, as by its removal.
-- $1 account, $2 skillset
SELECT id FROM skillset WHERE id = $2 AND account_id = $1 FOR KEY SHARE

-- name: owned_bot
-- As a skillset, and after it.
-- $1 account, $2 bot
SELECT id FROM bot WHERE id = $2 AND account_id = $1 FOR KEY SHARE

-- name: owned_contact
-- As a bot, and after it.
-- $1 account, $2 contact
SELECT id FROM contact WHERE id = $2 AND account_id = $1 FOR KEY SHARE

-- name: owned_task
-- As a contact, and after it.
-- $1 account, $2 task
SELECT id FROM task WHERE id = $2 AND account_id = $1 AND trigger_id IS NULL FOR KEY SHARE

-- name: foreign_secret
-- One that is not the account's.
-- $1 account, $2 secrets
SELECT named FROM unnest($2::text[]) AS named
WHERE NOT EXISTS (SELECT FROM secret WHERE id = named AND account_id = $1) LIMIT 1

-- name: unfinished
-- $1 conversation
SELECT id FROM run WHERE conversation_id = $1 AND ended_at IS NULL ORDER BY accepted_seq

-- name: channel
-- $1 account, $2 name, $3 run
INSERT INTO channel (account_id, name, run_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id

-- name: run_of_channel
-- $1 account, $2 name
SELECT c.run_id, r.fingerprint FROM channel c LEFT JOIN run r ON r.id = c.run_id
WHERE c.account_id = $1 AND c.name = $2

-- name: insert_run
-- $1 id, $2 account, $3 kind, $4 lane, $5 conversation, $6 bot, $7 contact, $8 channel, $9 workflow,
-- $10 request, $11 fingerprint, $12 keyed, $13 cap on all, $14 cap on an account, $15 cap on background runs,
-- $16 id of the audit log's entry, $17 its about, $18 its meta, $19 traceparent, $20 the turn it joins,
-- $21 milliseconds it gathers calls, $22 budget of tokens, $23 task, $24 ordering key,
-- $25 whether its plan is there already, $26 whether it is backfilled,
-- $27 trigger, $28 its own targets
WITH start AS (
    SELECT CASE WHEN $21 > 0 AND $20::text IS NULL
                THEN clock_timestamp() + $21::integer * interval '1 millisecond' END AS begins_at
), told AS (
    INSERT INTO audit (id, account_id, type, about, meta) VALUES ($16, $2, 'run.create', $17, $18)
), place AS (
    UPDATE conversation SET accepted = accepted + 1, gathers_until = greatest(gathers_until, begins_at)
    FROM start WHERE id = $5 RETURNING accepted
), active AS (
    SELECT account_id, lane, begun_at IS NULL AND admitted_at > clock_timestamp() - interval '10 seconds'
           AND coalesce(begins_at < clock_timestamp(), true) AS coming
    FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL AND parked_at IS NULL
), room AS (
    SELECT count(*) < $13 AND count(*) FILTER (WHERE account_id = $2) < $14
           AND ($4 = 'interactive'
                OR count(*) FILTER (WHERE lane <> 'interactive') < $15
               AND count(*) FILTER (WHERE lane <> 'interactive' AND coming)
                      < greatest($15 / CASE WHEN bool_or(coming AND lane = 'interactive') THEN 32 ELSE 8 END, 1))
           AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.conversation_id = $5 AND ahead.ended_at IS NULL)
           AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.task_id = $23 AND $24::text IS NOT NULL
                           AND ahead.ended_at IS NULL)
           AND NOT EXISTS (SELECT FROM run ahead WHERE ahead.ordering_key = $24 AND ahead.trigger_id = $27
                           AND ahead.ended_at IS NULL)
           -- Places go in turn while another account waits for one: see admission.sql.
           AND ($4 = 'interactive' AND count(*) + 8 < $13
                OR coalesce((SELECT min(w.account_id) FROM run w WHERE w.admitted_at IS NULL AND w.ended_at IS NULL
                             AND (w.lane <> 'interactive') = ($4 <> 'interactive')), $2) = $2
               AND coalesce((SELECT max(w.account_id) FROM run w WHERE w.admitted_at IS NULL AND w.ended_at IS NULL
                             AND (w.lane <> 'interactive') = ($4 <> 'interactive')), $2) = $2)
           AS free
    FROM active
)
INSERT INTO run (id, account_id, kind, lane, conversation_id, bot_id, contact_id, channel_id, workflow_id,
                 request, fingerprint, keyed, accepted_seq, created_at, admitted_at, next_look_at, traceparent,
                 joins, begins_at, budget, task_id, ordering_key, looks, backfilled, trigger_id, targets)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, (SELECT accepted FROM place), clock_timestamp(),
       CASE WHEN free THEN clock_timestamp() END,
       CASE WHEN free THEN greatest(clock_timestamp(), begins_at) + interval '2 seconds' END, $19, $20, begins_at,
       $22, $23, $24, $25::boolean::int, $26, $27, $28
FROM room, start
-- A worker that hears it starts the run; nobody hears it before the commit.
RETURNING admitted_at IS NULL AS waits, CASE WHEN admitted_at IS NOT NULL AND looks = 0 THEN pg_notify('holdfast_accepted', '') END

-- name: make_channels
-- Those a run's functions are answered on.
-- $1 account, $2 names
INSERT INTO channel (account_id, name) SELECT $1, unnest($2::text[]) ORDER BY 2 ON CONFLICT DO NOTHING

-- name: name_channels
-- Nobody empties them while the run goes on. Returns one that belongs to a run and so cannot be published to.
-- $1 account, $2 names, $3 run
WITH found AS (
    SELECT id, name, run_id FROM channel WHERE account_id = $1 AND name = ANY ($2::text[]) ORDER BY id FOR KEY SHARE
), named AS (
    INSERT INTO named_channel (run_id, channel_id) SELECT $3, id FROM found WHERE run_id IS NULL
)
SELECT name FROM found WHERE run_id IS NOT NULL LIMIT 1
