"""The torture command: a whole platform under load, broken on purpose, and what it promised checked."""
