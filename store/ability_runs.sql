-- Runs that are one call of an ability.

-- name: begin
-- $1 run, $2 ordinal, $3 name, $4 effect, $5 source, $6 request
WITH called AS (
    INSERT INTO step (run_id, ordinal, kind, state, fence, holder, attempt) VALUES ($1, $2, 'call', 'waiting', 0, '', 0)
)
INSERT INTO call (run_id, ordinal, name, kind, effect, source, request_id) VALUES ($1, $2, $3, 'ability', $4, $5, $6)

-- name: said
-- The request and the response.
-- $1 run
SELECT type, text, meta FROM message WHERE run_id = $1 AND step IS NOT NULL ORDER BY seq
