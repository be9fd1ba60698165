-- The audit log: one row for every act, written in the act's own transaction and never changed.

CREATE TABLE audit (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" REFERENCES account, -- null: nobody's, as with a key that nobody has
    type text NOT NULL,
    about jsonb NOT NULL CHECK (jsonb_typeof(about) = 'object'), -- ids it concerns, by their names on the wire
    meta jsonb NOT NULL CHECK (jsonb_typeof(meta) = 'object'),   -- actor, address, code
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()  -- who follows the log reads what earlier transactions left
);
CREATE INDEX audit_list ON audit (account_id, id);
CREATE INDEX audit_follow ON audit (account_id, xid, id);
CREATE INDEX audit_age ON audit (at);
CREATE INDEX audit_refused ON audit (at) WHERE type = 'key.refused';

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
