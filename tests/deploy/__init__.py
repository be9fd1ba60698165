"""The local engine under test."""
