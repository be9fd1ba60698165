-- The beginning and the forced end of a run.

-- name: begin
-- Who waits to come is told of the place.
-- $1 run, $2 the newest message its model sees, $3 how many messages it adds
UPDATE run SET state = 'running', begun_at = clock_timestamp(), begun_seq = $2, messages = messages + $3,
               next_look_at = clock_timestamp() + interval '30 seconds', looks = 0
WHERE id = $1
RETURNING CASE WHEN lane <> 'interactive' THEN pg_notify('holdfast_end', '') END

-- name: horizon
-- $1 conversation
SELECT messages FROM conversation WHERE id = $1

-- name: owned
-- $1 account, $2 run
SELECT id FROM run WHERE id = $2 AND account_id = $1

-- name: open
-- $1 run
SELECT id FROM run WHERE id = $1 AND ended_at IS NULL

-- name: told
-- $1 run
UPDATE run SET untold_at = NULL WHERE id = $1

-- name: left
-- Seconds of its time, all of them before it has begun.
-- $1 run
SELECT greatest(given - coalesce(extract(epoch FROM clock_timestamp() - begun_at), 0), 0)::float8
FROM run, LATERAL (SELECT (request::jsonb #>> '{limits,seconds}')::numeric AS given) AS limits WHERE id = $1
