-- What a browser needs: sessions, which its tokens stand for, and the web origins an account's pages come from.

CREATE TABLE session (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    conversation_id text COLLATE "C" NOT NULL REFERENCES conversation ON DELETE CASCADE,
    key_id text COLLATE "C" NOT NULL REFERENCES api_key, -- who made it; revoked, it takes its sessions along
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX session_conversation ON session (conversation_id);
CREATE INDEX session_expired ON session (expires_at);

CREATE TABLE origin (
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    origin text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, origin)
);
CREATE INDEX origin_accounts ON origin (origin);
