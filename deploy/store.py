"""The store's commands, as `make up` needs them: migrate, one account, one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploy.command import insist


async def migrate(env: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Bring the schema up to date."""
    await insist(env, say, "store", "migrate")


async def make_key(env: Mapping[str, str], say: Callable[[str], None]) -> str:
    """A new account with a new key, which is shown once."""
    account = await insist(env, say, "store", "account", "create", "--name", "local")
    return await insist(env, say, "store", "key", "create", "--account", account, "--name", "local")
