"""What `make up` runs: the whole platform on one machine, in the foreground."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import suppress

from pydantic import ValidationError

import settings
from deploy import child, front, leavings, parts, ports, postgres, store, temporal
from deploy import home as files

ROWS = (("worker", "api"), ("model",), ("postgres", "temporal"))
"""Each row needs those after it, so they stop in this order, the parts of a row together."""
OURS = {"worker": ("worker.py",), "api": ("-m", "api")}
LOOPBACK = "abilities may call servers on this machine; HOLDFAST_OUTBOUND_LOOPBACK=false forbids it"
PATIENCE = 60
"""Seconds without being ready after which we say what is missing."""

RETENTION_HOURS = 720
"""The embedded Temporal keeps closed histories for a month; its own default is a day."""
RECOVERY = 600
"""Seconds that Postgres may take to come back after a crash."""


class Local:
    """The running parts and the order in which they come and go."""

    def __init__(self, chosen: parts.Parts, lock: files.Lock) -> None:
        self._parts = chosen
        self._lock = lock
        self._children: dict[str, child.Child] = {}
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> int:
        """Until told to stop; whatever happens, nothing we started outlives this call. The exit code."""
        self._listen()
        rising = asyncio.create_task(self._rise())
        told = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({rising, told}, return_when=asyncio.FIRST_COMPLETED)
            if rising.done():
                rising.result()
                await told
        except ExceptionGroup as group:
            say(f"cannot start: {group.exceptions[0]!r}")
            return 1
        finally:
            rising.cancel()
            await asyncio.wait({rising})
            await self._fall()
        return 0

    async def _rise(self) -> None:
        """Everything at once: worker and API wait for what they need, and /health/ready says for what."""
        async with asyncio.TaskGroup() as group:
            engine = group.create_task(self._temporal())
            if self._parts.embeds_postgres:
                await self._postgres()
            if self._parts.calls_loopback:
                say(LOOPBACK)
            for name, words in OURS.items():
                await self._start(self._parts.spec(name, *words))
            if self._parts.embeds_model:
                model = ("-m", "deploy.demo_model", "--port", str(self._parts.ports["model"]))
                await self._start(self._parts.spec("model", *model))
            await self._database()
            if self._parts.embeds_temporal:
                await engine
            await self._welcome()

    async def _postgres(self) -> None:
        home, port = self._parts.home, self._parts.ports["postgres"]
        await asyncio.to_thread(postgres.prepare, home)
        await self._start(self._parts.engine("postgres"))
        self._parts.env["DATABASE_URL"] = postgres.url(home, port)

    async def _database(self) -> None:
        if self._parts.embeds_postgres:
            await postgres.ready(self._parts.home, self._parts.ports["postgres"], RECOVERY)
        await store.migrate(self._parts.env, say)

    async def _temporal(self) -> None:
        """An operator's own cluster keeps histories as long as its operator wants."""
        if self._parts.embeds_temporal:
            await self._start(self._parts.engine("temporal"))
        hours = RETENTION_HOURS if self._parts.embeds_temporal else 0
        await temporal.prepare(self._parts.env, say, hours)

    async def _welcome(self) -> None:
        url, env = self._parts.url, self._parts.env
        key = files.read_env(self._parts.home).get("HOLDFAST_API_KEY") or await store.make_key(env, say)
        await self._until_ready()
        if not await front.accepts(url, key):
            key = await store.make_key(env, say)
        ui = env.get("TEMPORAL_UI_URL", "")
        values = {"HOLDFAST_URL": url, "HOLDFAST_API_KEY": key}
        values |= {"TEMPORAL_UI_URL": ui, "DATABASE_URL": env["DATABASE_URL"]}
        files.write_env(self._parts.home, values)
        say(front.welcome(url, key, self._shown(ui)))

    def _shown(self, ui: str) -> dict[str, str]:
        """What else there is to look at."""
        shown = {"Temporal UI": ui} if ui else {}
        shown |= {f"{name} metrics": self._parts.metrics(name) for name in reversed(OURS)}
        return shown | {"model": self._parts.model}

    async def _until_ready(self) -> None:
        waiting = asyncio.create_task(front.until_ready(self._parts.url))
        try:
            while not (await asyncio.wait({waiting}, timeout=PATIENCE))[0]:
                say(f"not ready yet: {await front.missing(self._parts.url)}")
        finally:
            waiting.cancel()

    async def _start(self, spec: child.Spec) -> None:
        self._children[spec.name] = child.Child(spec, self._parts.home, say)
        await self._children[spec.name].start()

    async def _fall(self) -> None:
        self._lock.write(self._parts.url, stopping=True)
        for row in ROWS:
            here = [self._children[name] for name in row if name in self._children]
            await asyncio.gather(*(part.stop(self._at_once) for part in here))
        say("stopped")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._stop.set)

    def _interrupt(self) -> None:
        """A second Ctrl-C does not wait; a second SIGTERM means nothing: `make` repeats the one we got."""
        if self._stop.is_set():
            self._at_once.set()
        else:
            say("stopping; Ctrl-C again to kill")
        self._stop.set()


def say(text: str) -> None:
    """One line per event. A reader that went away must not stop us."""
    with suppress(OSError):
        print(text if text.startswith("\n") else f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def is_ours(lock: files.Lock) -> bool:
    """Take the home, waiting for a supervisor that is on its way out; False when one runs."""
    while not lock.take():
        note = lock.read()
        if not note["stopping"]:
            say(f"Holdfast already runs at {note['url']} (process {note['pid']})")
            return False
        time.sleep(0.1)
    return True


def up(chosen: settings.Settings) -> int:
    home = chosen.home.resolve()
    lock = files.Lock(home)
    if not is_ours(lock):
        return 0
    for name in leavings.stop_all(home, parts.STOPS):
        say(f"{name} was left by an earlier start: stopped")
    if not ports.is_free(chosen.port, chosen.host):
        say(f"port {chosen.port} is taken by another program; HOLDFAST_PORT names another")
        return 1
    child.rotate(home)
    running = parts.choose(chosen)
    lock.write(running.url)
    return asyncio.run(Local(running, lock).run())


def main() -> int:
    try:
        return up(settings.load())
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
