-- The seq, on its channel, of what answered a call of a stateless run, until that goes with the run's words.
ALTER TABLE call ADD COLUMN taken bigint;
