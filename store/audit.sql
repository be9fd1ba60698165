-- The audit log: written in the transaction of the act it tells of.

-- name: note
-- $1 id, $2 account or null, $3 type, $4 about, $5 meta
INSERT INTO audit (id, account_id, type, about, meta) VALUES ($1, $2, $3, $4, $5)

-- name: list
-- $1 account, $2 after, $3 take, $4 meta, $5 types, $6 about: of each name the ids of which it must have one
SELECT id, type, about, meta, at AS created_at FROM audit
WHERE account_id = $1 AND id /* after */ < $2 AND meta @> $4
  AND ($5::text[] IS NULL OR type = ANY ($5))
  AND NOT EXISTS (SELECT FROM jsonb_each($6) AS one (name, ids) WHERE (ids ? (about ->> name)) IS NOT TRUE)
ORDER BY id DESC LIMIT $3

-- name: newest
-- $1 account or null
SELECT id, type, about, meta, at AS created_at FROM audit
WHERE account_id IS NOT DISTINCT FROM $1 ORDER BY id DESC LIMIT 100

-- name: before_newest
-- The position before the newest $2 entries; with 0 it is the end. Entries that followers cannot have yet count, but
-- the position is never among them: an earlier transaction may still put one before them.
-- $1 account, $2 how many
SELECT xid::text AS xid, id FROM (
    SELECT audit.xid, id FROM audit WHERE account_id = $1 ORDER BY audit.xid DESC, id DESC OFFSET $2
) AS older
WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY older.xid DESC, id DESC LIMIT 1

-- name: position
-- $1 account, $2 id
SELECT xid::text AS xid, id FROM audit WHERE account_id = $1 AND id = $2

-- name: follow
-- What came after a position, in the order of transactions; none that an earlier, unfinished one might precede.
-- ORDER BY xid would take the text that is selected, where 1000 comes before 999; so it would above.
-- $1 account, $2 xid of the position, $3 id of the position, $4 how many
SELECT id, type, about, meta, at AS created_at, xid::text AS xid FROM audit
WHERE account_id = $1 AND (xid, id) > ($2::text::xid8, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY audit.xid, id LIMIT $4
