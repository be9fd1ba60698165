"""The nouns: frozen models and pure functions that every other room may use."""
