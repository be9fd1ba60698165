-- The seq, on its channel, of what answered a call: it goes with the words of the call's run.
ALTER TABLE call ADD COLUMN taken bigint;
