-- Channels as clients see them: by name, within an account.

-- name: find
-- $1 account, $2 name
-- Of a merged one the seq is that of the events it goes on with, counted on.
SELECT c.id, c.run_id, c.open, c.deleted, c.seq + coalesce(o.seq - c.from_seq, 0) AS seq
FROM channel c LEFT JOIN channel o ON o.id = c.into_id
WHERE c.account_id = $1 AND c.name = $2

-- name: make
-- $1 account, $2 name
INSERT INTO channel (account_id, name) VALUES ($1, $2) ON CONFLICT (account_id, name) DO NOTHING

-- name: lock
-- $1 account, $2 name
SELECT id, run_id FROM channel WHERE account_id = $1 AND name = $2 FOR UPDATE

-- name: waiting
-- The plans of the runs with a call that waits on a channel.
-- $1 channel
SELECT r.id AS run_id, r.account_id, r.kind, r.lane, r.workflow_id, r.conversation_id, r.bot_id, r.task_id, r.trigger_id
FROM run r WHERE r.ended_at IS NULL
  AND r.id IN (SELECT run_id FROM call WHERE channel_id = $1 AND channel_id IS NOT NULL AND response_id IS NULL)
ORDER BY r.id

-- name: repeated
-- Whether this is what was published last, less than ten seconds ago, and no call waits that has no answer here yet.
-- $1 channel, $2 data
SELECT data = $2 AND at > clock_timestamp() - interval '10 seconds'
       AND (SELECT count(*) FROM call c JOIN run r ON r.id = c.run_id
            WHERE c.channel_id = $1 AND c.channel_id IS NOT NULL AND c.response_id IS NULL AND r.ended_at IS NULL)
        <= (SELECT count(*) FROM event e JOIN channel f ON f.id = e.channel_id
            WHERE e.channel_id = $1 AND e.seq > f.taken AND e.type = 'published')
FROM event WHERE channel_id = $1 AND type = 'published' ORDER BY seq DESC LIMIT 1

-- name: full
-- Whether an unfinished run names the channel and has left too much of it untaken.
-- $1 channel, $2 the most
SELECT EXISTS (SELECT FROM named_channel WHERE channel_id = $1)
   AND (SELECT count(*) FROM (SELECT FROM event e JOIN channel c ON c.id = e.channel_id
                              WHERE e.channel_id = $1 AND e.seq > c.taken AND e.type = 'published' LIMIT $2) untaken) >= $2

-- name: trim
-- Of what clients publish, the newest are kept, and what an unfinished run may still take.
-- $1 channel, $2 how many
DELETE FROM event USING channel c
WHERE event.channel_id = $1 AND c.id = $1 AND event.seq <= c.seq - $2
  AND (event.seq <= c.taken OR NOT EXISTS (SELECT FROM named_channel n WHERE n.channel_id = $1))

-- name: tail
-- The seq after which the newest $2 events of a channel begin; a merged one goes on with another's.
-- $1 channel, $2 how many
WITH other AS (
    SELECT into_id AS id, from_seq, seq - from_seq AS shift FROM channel WHERE id = $1 AND into_id IS NOT NULL
)
SELECT coalesce(min(seq) - 1, 0) FROM (
    (SELECT seq FROM event WHERE channel_id = $1 ORDER BY seq DESC LIMIT $2)
    UNION ALL
    (SELECT seq FROM token WHERE channel_id = $1 ORDER BY seq DESC LIMIT $2)
    UNION ALL
    (SELECT e.seq + shift FROM other o JOIN event e ON e.channel_id = o.id AND e.seq > o.from_seq
     ORDER BY e.seq DESC LIMIT $2)
    UNION ALL
    (SELECT t.seq + shift FROM other o JOIN token t ON t.channel_id = o.id AND t.seq > o.from_seq
     ORDER BY t.seq DESC LIMIT $2)
    ORDER BY seq DESC LIMIT $2
) newest

-- name: terminal
-- $1 channel
SELECT type, data FROM event WHERE channel_id = $1 AND type IN ('result', 'error') ORDER BY seq DESC LIMIT 1
