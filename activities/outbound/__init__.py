"""Calls of tools out into the world, which must not reach what only this server can reach."""
