"""A command of ours, run to its end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping

from deploy import tether
from deploy.child import ROOT, how

PAUSE = 2.0
"""Seconds between tries."""


class CommandFailed(Exception):
    """The command and the last of its words, or how it died."""


async def insist(env: Mapping[str, str], say: Callable[[str], None], *words: str) -> str:
    """Run it until it succeeds, saying each new trouble once: what it needs may be down for a while."""
    said = ""
    while True:
        try:
            return await run(env, *words)
        except CommandFailed as error:
            if str(error) != said:
                said = str(error)
                say(f"trying again: {said}")
        await asyncio.sleep(PAUSE)


async def run(env: Mapping[str, str], *words: str) -> str:
    """Run `python -m` with these words and return what it prints."""
    argv = tether.command(signal.SIGTERM, [sys.executable, "-m", *words])
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
        said = errors.decode(errors="replace").splitlines()[-1:]
        raise CommandFailed(f"{' '.join(words)}: {''.join(said) or how(process.returncode)}")
    return output.decode().strip()
