-- Skillsets, the abilities in them, and the bots and conversations that have them.

CREATE TABLE skillset (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    alias text COLLATE "C" CHECK (alias ~ '^[a-z0-9_-]{1,128}$'),
    name text,
    description text,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX skillset_list ON skillset (account_id, id);
CREATE UNIQUE INDEX skillset_alias ON skillset (account_id, alias) WHERE alias IS NOT NULL;

CREATE TABLE ability (
    id text COLLATE "C" PRIMARY KEY,
    skillset_id text COLLATE "C" NOT NULL REFERENCES skillset ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    description text NOT NULL,
    meta jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(meta) = 'object'),
    instruction text NOT NULL,
    secret_id text COLLATE "C",          -- kept when the secret is gone: its calls fail then, none goes out without it
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ability_list ON ability (skillset_id, id);

-- The removal of a skillset locks in this order: skillset, bots, conversations, as whatever names one does.
ALTER TABLE bot ADD COLUMN skillset_id text COLLATE "C" REFERENCES skillset ON DELETE SET NULL;
ALTER TABLE conversation ADD COLUMN skillset_id text COLLATE "C" REFERENCES skillset ON DELETE SET NULL;
