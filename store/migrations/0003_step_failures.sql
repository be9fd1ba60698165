-- How often a step's model failed: what a worker's death cost is not the model's failure.

ALTER TABLE step ADD COLUMN failures int NOT NULL DEFAULT 0;
