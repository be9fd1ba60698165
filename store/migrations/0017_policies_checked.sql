-- outside a transaction
-- What the policies' checks say holds of the rows that were there before them.

ALTER TABLE conversation VALIDATE CONSTRAINT conversation_on_busy_check;
ALTER TABLE run VALIDATE CONSTRAINT run_state_check;
ALTER TABLE run VALIDATE CONSTRAINT run_joins_check;
ALTER TABLE run VALIDATE CONSTRAINT run_merged_check;
ALTER TABLE channel VALIDATE CONSTRAINT channel_into_check;
