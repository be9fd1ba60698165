-- What the model of a turn is told.

-- name: setting
-- What it is told besides the messages.
-- $1 conversation or null, $2 bot or null, $3 contact or null
SELECT v.model, v.backstory, b.model AS bot_model, b.backstory AS bot_backstory, p.name, p.nick, p.preferences,
       coalesce(v.skillset_id, b.skillset_id) AS skillset_id
FROM (SELECT) AS one
LEFT JOIN conversation v ON v.id = $1
LEFT JOIN bot b ON b.id = $2
LEFT JOIN contact p ON p.id = $3

-- name: of_conversation
-- The messages present when the turn began, then the turn's own; those of calls merged into it are its own.
-- No text at all when they have more bytes than that.
-- $1 conversation, $2 horizon, $3 run, $4 the most bytes
SELECT type, CASE WHEN fits THEN text END AS text, CASE WHEN fits THEN activity END AS activity,
       CASE WHEN step IS NOT NULL
            THEN (SELECT s.carry FROM step s WHERE s.run_id = m.run_id AND s.ordinal = m.step) END AS carry
FROM (
    SELECT seq, type, text, run_id, step, CASE WHEN type = 'activity' THEN (meta -> 'activity')::text END AS activity,
           sum(octet_length(text) + CASE WHEN type = 'activity' THEN octet_length(meta::text) ELSE 0 END) OVER () <= $4
           AS fits
    FROM message WHERE conversation_id = $1 AND (seq <= $2 OR run_id = $3) AND NOT hidden
) m ORDER BY seq

-- name: of_run
-- What a stateless run has added to the messages it was given.
-- $1 run, $2 the most bytes
SELECT type, CASE WHEN fits THEN text END AS text, CASE WHEN fits THEN activity END AS activity,
       (SELECT s.carry FROM step s WHERE s.run_id = $1 AND s.ordinal = m.step) AS carry
FROM (
    SELECT seq, type, text, step, (meta -> 'activity')::text AS activity,
           sum(octet_length(text) + octet_length(meta::text)) OVER () <= $2 AS fits
    FROM message WHERE run_id = $1 AND step IS NOT NULL
) m ORDER BY seq

-- name: was_cut
-- Whether the newest answer of a run was cut at its greatest length.
-- $1 run
SELECT reason = 'length' FROM step WHERE run_id = $1 AND state = 'done' ORDER BY ordinal DESC LIMIT 1

-- name: abilities
-- Of a skillset, in an order that stays.
-- $1 account, $2 skillset, $3 how many at most
SELECT a.id, a.name, a.description, a.instruction, a.secret_id FROM ability a JOIN skillset s ON s.id = a.skillset_id
WHERE s.id = $2 AND s.account_id = $1 ORDER BY a.name, a.id LIMIT $3
