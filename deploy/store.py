"""The store's commands, as `make up` needs them: migrate, one account, one key."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping

from deploy import tether
from deploy.child import ROOT

PAUSE = 2.0
"""Seconds between tries while the database refuses."""


class CommandFailed(Exception):
    """The last of the command's own words."""


async def migrate(env: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Bring the schema up to date, for as long as it takes the database to let us."""
    said = ""
    while True:
        try:
            await command(env, "migrate")
        except CommandFailed as error:
            if str(error) != said:
                said = str(error)
                say(f"the database is not ready, trying again: {said}")
            await asyncio.sleep(PAUSE)
        else:
            return


async def make_key(env: Mapping[str, str]) -> str:
    """A new account with a new key, which is shown once."""
    account = await command(env, "account", "create", "--name", "local")
    return await command(env, "key", "create", "--account", account, "--name", "local")


async def command(env: Mapping[str, str], *words: str) -> str:
    """Run `python -m store` and return what it prints."""
    argv = tether.command(signal.SIGTERM, [sys.executable, "-m", "store", *words])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=env,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        raise CommandFailed("".join(errors.decode(errors="replace").splitlines()[-1:]))
    return output.decode().strip()
