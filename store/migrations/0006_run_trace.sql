-- Where a run belongs in its caller's trace: an id that the worker which takes its step goes on from. Null: untraced.
ALTER TABLE run ADD COLUMN traceparent text;
-- Not valid yet, so that no row is read: those there are have none.
ALTER TABLE run ADD CONSTRAINT run_traceparent_check CHECK (length(traceparent) = 55) NOT VALID;
