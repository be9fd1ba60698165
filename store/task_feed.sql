-- What a task's runs do, heard across them. Its runs are made under its row's lock, and their channels with them: so a
-- channel that is there is never followed by a run of the same task with a lower one.

-- name: owned
-- $1 account, $2 task
SELECT id FROM task WHERE id = $2 AND account_id = $1 AND trigger_id IS NULL

-- name: begin
-- Where the newest events of a task begin, among those of its newest thousand runs: a channel, and the seq before the
-- first of them; without any, its newest channel. And how far its unfinished runs are, up to that channel.
-- $1 account, $2 task, $3 how many
WITH recent AS (
    SELECT r.channel_id, c.deleted FROM run r JOIN channel c ON c.id = r.channel_id
    WHERE r.task_id = $2 ORDER BY r.channel_id DESC LIMIT 1000
), first AS (
    SELECT channel_id, seq FROM (
        SELECT recent.channel_id, e.seq FROM recent CROSS JOIN LATERAL (
            SELECT seq FROM event WHERE channel_id = recent.channel_id
              AND (type IN ('operationBegin', 'operationEnd') OR type = 'error' AND NOT recent.deleted)
            ORDER BY seq DESC LIMIT $3
        ) AS e
        ORDER BY recent.channel_id DESC, e.seq DESC LIMIT $3
    ) AS newest ORDER BY channel_id, seq LIMIT 1
), place AS (
    SELECT coalesce((SELECT channel_id FROM first), (SELECT max(channel_id) FROM recent), 0) AS upto
)
SELECT upto, (SELECT seq - 1 FROM first) AS before,
       (SELECT jsonb_object_agg(r.channel_id, c.seq) FROM run r JOIN channel c ON c.id = r.channel_id
        WHERE r.task_id = $2 AND r.ended_at IS NULL AND r.channel_id <= upto) AS parts
FROM place, task WHERE id = $2 AND account_id = $1 AND trigger_id IS NULL

-- name: channels
-- Those that may have more to tell. One row without a channel where there are none, no row where there is no task.
-- $1 task, $2 the newest channel that was heard, $3 channels up to it that were heard in part, $4 the most new ones
SELECT c.id, c.seq, c.open
FROM task t LEFT JOIN LATERAL (
    SELECT channel_id FROM run WHERE task_id = t.id AND channel_id = ANY ($3::bigint[]) AND channel_id <= $2
    UNION ALL
    (SELECT channel_id FROM run WHERE task_id = t.id AND channel_id > $2 ORDER BY channel_id LIMIT $4)
) AS r ON true LEFT JOIN channel c ON c.id = r.channel_id
WHERE t.id = $1

-- name: lines
-- What channels tell of operations and of failures, in the order of time, but never against that of a channel: events
-- bear the times at which their transactions began. What is written where a conversation was deleted is no failure.
-- $1 channels, $2 the seq each was heard to, $3 its last one, $4 the most rows, $5 the most bytes but for the last row
SELECT channel_id, seq, type, data, at FROM (
    SELECT *, sum(octet_length(data)) OVER (ORDER BY moment, channel_id, seq) - octet_length(data) AS before FROM (
        SELECT g.channel_id, e.*, max(e.at) OVER (PARTITION BY g.channel_id ORDER BY e.seq) AS moment
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS g (channel_id, after, last)
        JOIN channel c ON c.id = g.channel_id
        CROSS JOIN LATERAL (
            SELECT seq, type, data, at FROM event
            WHERE channel_id = g.channel_id AND seq > g.after AND seq <= g.last
              AND (type IN ('operationBegin', 'operationEnd') OR type = 'error' AND NOT c.deleted)
            ORDER BY seq LIMIT $4
        ) AS e
        ORDER BY moment, channel_id, seq LIMIT $4
    ) AS rows
) AS page
WHERE before < $5 ORDER BY moment, channel_id, seq
