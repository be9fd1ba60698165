-- The event log: written in groups, read by many.

-- name: flush
-- Only what its channel still takes: open, under this fence, and not logged before. What is locked is skipped.
-- One row per event: $1 channels, $2 fences, $3 numbers in the attempt, $4 types, $5 data
WITH locked AS MATERIALIZED (
    SELECT id, open, seq, step, attempt, fence, n FROM channel
    WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE SKIP LOCKED
), fresh AS (
    SELECT l.id, l.seq + row_number() OVER (PARTITION BY l.id ORDER BY g.n) AS seq, l.step, l.attempt, g.n,
           g.type, g.data
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
             AS g (channel_id, fence, n, type, data)
    JOIN locked l ON l.id = g.channel_id AND l.open AND l.fence = g.fence AND l.n < g.n
), tokens AS (
    INSERT INTO token (channel_id, seq, step, attempt, type, data)
    SELECT id, seq, step, attempt, type, data FROM fresh WHERE type IN ('token', 'reasoningToken')
), events AS (
    INSERT INTO event (channel_id, seq, step, attempt, type, data)
    SELECT id, seq, step, attempt, type, data FROM fresh WHERE type NOT IN ('token', 'reasoningToken')
), moved AS (
    UPDATE channel c SET seq = f.seq, n = f.n, touched_at = clock_timestamp()
    FROM (SELECT id, max(seq) AS seq, max(n) AS n FROM fresh GROUP BY id) f WHERE c.id = f.id
)
SELECT id, open, fence, pg_notify('holdfast_log', '') FROM locked

-- name: read
-- What a client published may be megabytes: rows come until one reader has so many bytes, and at least one.
-- $1 channels, $2 the seq each reader has seen, $3 the most rows of one reader, $4 the most bytes but for its last row
SELECT g.reader, e.seq, e.type, e.data
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS g (channel_id, after, reader)
CROSS JOIN LATERAL (
    SELECT seq, type, data, sum(octet_length(data)) OVER (ORDER BY seq) - octet_length(data) AS before
    FROM (
        (SELECT seq, type, data FROM event WHERE channel_id = g.channel_id AND seq > g.after ORDER BY seq LIMIT $3)
        UNION ALL
        (SELECT seq, type, data FROM token WHERE channel_id = g.channel_id AND seq > g.after ORDER BY seq LIMIT $3)
        ORDER BY seq LIMIT $3
    ) rows
) e
WHERE e.before < $4
ORDER BY g.reader, e.seq

-- name: merged
-- Where a merged run's channel goes on: another channel, after which seq, and its own last seq.
-- $1 channel
SELECT into_id, from_seq, seq FROM channel WHERE id = $1 AND into_id IS NOT NULL

-- name: closed
-- $1 channels
SELECT id FROM channel WHERE id = ANY ($1::bigint[]) AND NOT open
