-- Ratings: what somebody thought of a bot, a conversation or one of its messages. And where deleted messages stood.

CREATE TABLE rating (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account,
    conversation_id text COLLATE "C" REFERENCES conversation ON DELETE CASCADE,
    message_id text COLLATE "C" REFERENCES message ON DELETE CASCADE,
    bot_id text COLLATE "C",     -- of a conversation: those of the day it was given, there or not
    contact_id text COLLATE "C",
    value double precision NOT NULL CHECK (value BETWEEN -100 AND 100 AND value <> 0),
    reason text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (conversation_id IS NOT NULL OR bot_id IS NOT NULL),
    CHECK (message_id IS NULL OR conversation_id IS NOT NULL)
);
CREATE INDEX rating_list ON rating (account_id, id);
CREATE INDEX rating_conversation ON rating (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX rating_message ON rating (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX rating_bot ON rating (bot_id) WHERE bot_id IS NOT NULL;
CREATE INDEX rating_contact ON rating (contact_id) WHERE contact_id IS NOT NULL;

-- A list that was read up to a message goes on from its place when the message is gone. No words.
CREATE TABLE message_gone (
    conversation_id text COLLATE "C" NOT NULL REFERENCES conversation ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (conversation_id, id)
);
