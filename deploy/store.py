"""The store's commands, as `make up` needs them: migrate, one account, one key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from deploy.command import CommandFailed, run

PAUSE = 2.0
"""Seconds between tries while the database refuses."""


async def migrate(env: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Bring the schema up to date, for as long as it takes the database to let us."""
    said = ""
    while True:
        try:
            await run(env, "store", "migrate")
        except CommandFailed as error:
            if str(error) != said:
                said = str(error)
                say(f"the database is not ready, trying again: {said}")
            await asyncio.sleep(PAUSE)
        else:
            return


async def make_key(env: Mapping[str, str]) -> str:
    """A new account with a new key, which is shown once."""
    account = await run(env, "store", "account", "create", "--name", "local")
    return await run(env, "store", "key", "create", "--account", account, "--name", "local")
