"""The plans: deterministic workflows that say what happens in which order."""
