-- Ratings. What one belongs to is locked against removal while it is made: it goes with it, or is not made.

-- name: of_conversation
-- $1 id, $2 account, $3 value, $4 reason, $5 conversation
INSERT INTO rating (id, account_id, value, reason, conversation_id, bot_id, contact_id)
SELECT $1, $2, $3, $4, v.id, v.bot_id, v.contact_id
FROM conversation v WHERE v.id = $5 AND v.account_id = $2
FOR KEY SHARE OF v
RETURNING conversation_id, message_id, bot_id, contact_id

-- name: of_message
-- $1 id, $2 account, $3 value, $4 reason, $5 conversation, $6 message
INSERT INTO rating (id, account_id, value, reason, conversation_id, message_id, bot_id, contact_id)
SELECT $1, $2, $3, $4, v.id, m.id, v.bot_id, v.contact_id
FROM conversation v JOIN message m ON m.conversation_id = v.id
WHERE v.id = $5 AND v.account_id = $2 AND m.id = $6
FOR KEY SHARE OF v, m
RETURNING conversation_id, message_id, bot_id, contact_id

-- name: of_bot
-- $1 id, $2 account, $3 value, $4 reason, $5 bot
INSERT INTO rating (id, account_id, value, reason, bot_id)
SELECT $1, $2, $3, $4, b.id FROM bot b WHERE b.id = $5 AND b.account_id = $2
FOR KEY SHARE OF b
RETURNING conversation_id, message_id, bot_id, contact_id

-- name: list
-- $1 account, $2 after, $3 take, $4 conversations, $5 messages, $6 bots, $7 contacts
SELECT id, conversation_id, message_id, bot_id, contact_id, value, reason, created_at FROM rating
WHERE account_id = $1 AND id /* after */ < $2
  AND ($4::text[] IS NULL OR conversation_id = ANY ($4)) AND ($5::text[] IS NULL OR message_id = ANY ($5))
  AND ($6::text[] IS NULL OR bot_id = ANY ($6)) AND ($7::text[] IS NULL OR contact_id = ANY ($7))
ORDER BY id DESC LIMIT $3
