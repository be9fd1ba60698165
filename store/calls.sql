-- Calls of tools: each is a step of kind `call`; its words are its request's and its response's messages.

-- name: standing
-- What failed ends no run: its model is told.
-- $1 run
SELECT (SELECT count(*) FROM step WHERE run_id = $1 AND kind = 'model' AND state = 'done')::int AS iterations,
       count(*)::int AS calls,
       coalesce(bool_or(kind = 'caller' AND response_id IS NULL), false) AS caller,
       coalesce(bool_or(last AND response_id IS NOT NULL AND NOT EXISTS (
           SELECT FROM step s WHERE s.run_id = $1 AND s.ordinal = call.ordinal AND s.state = 'failed')), false) AS last
FROM call WHERE run_id = $1

-- name: ask
-- $1 run, of each call: $2 ordinal, $3 name, $4 kind, $5 effect, $6 source, $7 channel, $8 seconds it is waited for,
-- $9 whether its answer ends the run, $10 request, $11 response, $12 code of one that failed; $13 iteration, $14 account
WITH given AS (
    SELECT * FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
                         $9::boolean[], $10::text[], $11::text[], $12::text[])
        AS g (ordinal, name, kind, effect, source, channel, seconds, last, request_id, response_id, code)
), locked AS MATERIALIZED (
    -- In the order in which whoever looks at them locks them.
    SELECT id, name FROM channel WHERE account_id = $14 AND name = ANY ($7::text[]) ORDER BY id FOR KEY SHARE
), steps AS (
    INSERT INTO step (run_id, ordinal, kind, state, fence, holder, attempt, iteration, error_code, ended_at)
    SELECT $1, ordinal, 'call',
           CASE WHEN response_id IS NULL THEN 'waiting' WHEN code IS NULL THEN 'done' ELSE 'failed' END,
           0, '', 0, $13, code,
           CASE WHEN response_id IS NOT NULL THEN clock_timestamp() END
    FROM given
)
INSERT INTO call (run_id, ordinal, name, kind, effect, source, channel_id, deadline, last, request_id, response_id)
SELECT $1, ordinal, name, kind, effect, source,
       (SELECT id FROM locked WHERE locked.name = given.channel),
       clock_timestamp() + seconds * interval '1 second', last, request_id, response_id
FROM given

-- name: asked
-- The answer's tokens count now; the channel is nobody's until the next model step is taken.
-- $1 run, $2 channel, $3 input tokens, $4 output tokens
WITH counted AS (
    UPDATE run SET input_tokens = input_tokens + $3, output_tokens = output_tokens + $4 WHERE id = $1
)
UPDATE channel SET attempt = 0, fence = 0 WHERE id = $2

-- name: open
-- Calls without their answers; their requests may have been deleted meanwhile.
-- $1 run, $2 ordinals
SELECT c.ordinal, c.name, c.kind, m.meta -> 'activity' AS activity, coalesce(m.step, 0) AS model_step
FROM call c LEFT JOIN message m ON m.id = c.request_id
WHERE c.run_id = $1 AND c.ordinal = ANY ($2::integer[]) AND c.response_id IS NULL

-- name: take
-- A row for every call that has no answer; no attempt in it where a later one holds the call.
-- $1 run, of each call: $2 ordinal, $3 fence, $4 holder
WITH open AS MATERIALIZED (
    SELECT g.ordinal, g.fence, g.holder, s.state AS old_state, s.fence AS old_fence, c.name, c.effect, c.source,
           m.meta -> 'activity' AS activity
    FROM unnest($2::integer[], $3::bigint[], $4::text[]) AS g (ordinal, fence, holder)
    JOIN call c ON c.run_id = $1 AND c.ordinal = g.ordinal AND c.response_id IS NULL
    JOIN step s ON s.run_id = $1 AND s.ordinal = g.ordinal
    LEFT JOIN message m ON m.id = c.request_id
    ORDER BY g.ordinal FOR UPDATE OF s
), taken AS (
    UPDATE step s SET fence = o.fence, holder = o.holder, attempt = s.attempt + (s.fence < o.fence)::int,
                      state = 'running', ended_at = NULL,
                      begun_at = CASE WHEN o.old_state = 'waiting' THEN clock_timestamp() ELSE s.begun_at END
    FROM open o
    WHERE s.run_id = $1 AND s.ordinal = o.ordinal
      AND (o.old_fence < o.fence OR (o.old_fence = o.fence AND s.holder = o.holder))
    RETURNING s.ordinal, s.attempt, o.old_state = 'running' AND o.old_fence < o.fence AS interrupted
)
SELECT o.ordinal, o.name, o.effect, o.source, o.activity, t.attempt, t.interrupted
FROM open o LEFT JOIN taken t USING (ordinal)

-- name: ours
-- The calls these hold: also after its last failure, which is then the answer, and when it has answered already.
-- $1 run, of each call: $2 ordinal, $3 fence, $4 holder
SELECT s.ordinal FROM unnest($2::integer[], $3::bigint[], $4::text[]) AS g (ordinal, fence, holder)
JOIN step s ON s.run_id = $1 AND s.ordinal = g.ordinal AND s.fence = g.fence AND s.holder = g.holder

-- name: answer
-- $1 run, of each call: $2 ordinal, $3 response, $4 error code or null
WITH given AS (
    SELECT * FROM unnest($2::integer[], $3::text[], $4::text[]) AS g (ordinal, response_id, code)
), answered AS (
    UPDATE call c SET response_id = g.response_id FROM given g WHERE c.run_id = $1 AND c.ordinal = g.ordinal
)
UPDATE step s SET state = CASE WHEN g.code IS NULL THEN 'done' ELSE 'failed' END, error_code = g.code,
                  error_message = CASE WHEN g.code IS NULL THEN NULL ELSE s.error_message END,
                  ended_at = clock_timestamp()
FROM given g WHERE s.run_id = $1 AND s.ordinal = g.ordinal

-- name: fail
-- $1 run, $2 ordinal, $3 fence, $4 holder, $5 error code, $6 error message
-- Returns the failures so far; a repeat by the same holder counts none.
WITH noted AS (
    UPDATE step SET state = 'failed', failures = failures + 1, error_code = $5, error_message = $6,
                    ended_at = clock_timestamp()
    WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND state = 'running'
    RETURNING failures
)
SELECT failures FROM noted
UNION ALL
SELECT failures FROM step
WHERE run_id = $1 AND ordinal = $2 AND fence = $3 AND holder = $4 AND NOT EXISTS (SELECT FROM noted)
