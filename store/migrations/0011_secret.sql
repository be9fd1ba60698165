-- Secrets: what abilities show to the servers that they call.

CREATE TABLE secret (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    alias text COLLATE "C" CHECK (alias ~ '^[a-z0-9_-]{1,128}$'),
    name text,
    description text,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    type text NOT NULL CHECK (type IN ('plain', 'bearer', 'basic')),
    value bytea CHECK (octet_length(value) > 28),        -- sealed: a nonce of 12 bytes, the ciphertext, a tag of 16
    key text COLLATE "C" CHECK (key ~ '^[0-9a-f]{16}$'), -- names the key that it is sealed under
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((value IS NULL) = (key IS NULL))
);
CREATE INDEX secret_list ON secret (account_id, id);
CREATE UNIQUE INDEX secret_alias ON secret (account_id, alias) WHERE alias IS NOT NULL;
