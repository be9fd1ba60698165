"""One process kept alive: started, restarted when it dies, stopped when told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from deploy import leavings

FIRST_DELAY, LAST_DELAY, HEALTHY_AFTER = 0.2, 5.0, 30.0
"""Seconds: the waits before a restart double from the first to the last; a life of HEALTHY_AFTER forgives."""
ROOT = Path(__file__).resolve().parent.parent
ROTATE_BYTES = 20 * 2**20
TAIL_LINES = 15


@dataclass(frozen=True)
class Spec:
    """A process as we want it: `stop` is the signal it ends gracefully on, within `grace` seconds."""

    name: str
    argv: list[str]
    env: Mapping[str, str]
    stop: signal.Signals = signal.SIGTERM
    grace: float = 10


class Child:
    """A process with its log in `home/log`, in a session of its own: a terminal's Ctrl-C reaches only us."""

    def __init__(self, spec: Spec, home: Path, say: Callable[[str], None]) -> None:
        self.spec = spec
        self._home = home
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """None between a death and the restart."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    async def start(self) -> None:
        """The first start; from then on it is kept alive until `stop`."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=self.spec.name)

    async def stop(self, at_once: asyncio.Event) -> None:
        """Ask it to end; kill it after its grace, or when `at_once` is set."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        if self._process is None:
            return
        self._signal(self.spec.stop)
        if not await _before(self._process.wait(), at_once, self.spec.grace):
            self._say(f"{self.spec.name} had not stopped: killed")
            self._signal(signal.SIGKILL)
            await self._process.wait()
        leavings.forget(self._home, self.spec.name)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError):
            text = self._log().read_bytes()[-64 * 1024 :].decode(errors="replace")
            return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
        return ""

    async def _keep(self) -> None:
        delay, deaths = FIRST_DELAY, 0
        while self._process is not None:
            born = monotonic()
            code = await self._process.wait()
            if monotonic() - born >= HEALTHY_AFTER:
                delay, deaths = FIRST_DELAY, 0
            deaths += 1
            self._report(code, delay, deaths)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_DELAY)
            try:
                await self._spawn()
            except OSError as error:
                self._say(f"{self.spec.name} cannot be started: {error}")

    async def _spawn(self) -> None:
        log = self._log()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=self.spec.env,
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        leavings.remember(self._home, self.spec.name, self.spec.argv, self._process.pid)

    def _report(self, code: int, delay: float, deaths: int) -> None:
        self._say(f"{self.spec.name} died ({how(code)}); restarting in {delay:g} s")
        # At the 2nd, 4th, 8th … death in a row: what dies for ever should not fill the terminal.
        if deaths > 1 and deaths.bit_count() == 1 and (tail := self.tail()):
            self._say(f"{self.spec.name}'s log ends:\n{tail}")

    def _signal(self, sign: signal.Signals) -> None:
        """A kill is for its whole group; the group is ours only until we have waited for its leader."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            if sign is signal.SIGKILL:
                os.killpg(self._process.pid, sign)
            else:
                os.kill(self._process.pid, sign)

    def _log(self) -> Path:
        return self._home / "log" / f"{self.spec.name}.log"


def rotate(home: Path) -> None:
    """Put aside the logs that have grown large; once, before anything is started."""
    for log in (home / "log").glob("*.log"):
        if log.stat().st_size > ROTATE_BYTES:
            log.replace(log.with_suffix(".log.1"))


async def _before(ending: Coroutine[Any, Any, int], at_once: asyncio.Event, seconds: float) -> bool:
    """Whether it ended within its time, and before we were told not to wait."""
    ended, told = asyncio.create_task(ending), asyncio.create_task(at_once.wait())
    await asyncio.wait({ended, told}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not ended.done():
        ended.cancel()
    return ended.done()


def how(code: int) -> str:
    """A return code in words."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
