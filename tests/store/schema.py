"""The floor plan of the database: what the migrations add up to, as `pg_dump` tells it.

`python -m tests.store.schema` writes `store/schema.sql` anew.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path

from deploy import postgres
from store.migrate import migrate
from tests.house import House
from tests.store.conftest import database

FILE = Path(__file__).resolve().parents[2] / "store" / "schema.sql"
_HEAD = "-- What store/migrations add up to. Made by `make schema`, never by hand; a test proves it.\n\n"
_NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n", re.MULTILINE)


def dumped(url: str) -> str:
    """The schema of a database, without what differs from one dump to the next."""
    command = [postgres.binary("pg_dump"), "--schema-only", "--no-owner", "--no-privileges", "--dbname", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _HEAD + re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", told)).strip() + "\n"


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # Postgres may run as somebody else.
        house = House(Path(folder))
        postgres.prepare(house.home)
        house.start("postgres")
        try:
            house.database_url = await postgres.ready(house.home, house.ports["postgres"])
            async with database(house) as url:
                await migrate(url)
                FILE.write_text(dumped(url))
        finally:
            house.stop("postgres")


if __name__ == "__main__":
    asyncio.run(_write())
