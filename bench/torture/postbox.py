"""An SMTP server that fails on schedule: `python -m bench.torture.postbox PORT FILE SEED`.

It refuses some letters for now, with a 4xx, and drops some connections when it has taken the letter. Each
letter that it takes is a line in FILE before that is said: when, for whom, its Message-ID and what it says.
"""

from __future__ import annotations

import asyncio
import base64
import email
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Literal

import uvloop

Fate = Literal["taken", "later", "dropped"]
FATES: dict[Fate, int] = {"taken": 75, "later": 15, "dropped": 10}
"""With their weights. `dropped`: taken, and nobody is told."""
_REPLIES = {"EHLO": "250 postbox", "HELO": "250 postbox", "DATA": "354 go on", "QUIT": "221 bye"}
_ADDRESS = re.compile(r"<([^>]*)>")


class Postbox:
    def __init__(self, lines: IO[str], seed: str) -> None:
        self._lines = lines
        self._seed = seed
        self._came: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            async for reply in self._replies(reader):
                writer.write(f"{reply}\r\n".encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _replies(self, reader: asyncio.StreamReader) -> AsyncIterator[str]:
        to: list[str] = []
        yield "220 postbox"
        while line := (await reader.readline()).decode(errors="replace").strip():
            command = line[:4].upper()
            if command == "RCPT":
                to += _ADDRESS.findall(line)
            yield _REPLIES.get(command, "250 ok")
            if command == "QUIT":
                return
            if command == "DATA":
                drawn = self._take(to, await reader.readuntil(b"\r\n.\r\n"))
                if drawn == "dropped":
                    return
                yield "250 taken" if drawn == "taken" else "451 later"
                to = []

    def _take(self, to: list[str], raw: bytes) -> Fate:
        message_id = str(email.message_from_bytes(raw)["Message-ID"])
        self._came[message_id] += 1
        dice = random.Random(f"{self._seed}/{message_id}/{self._came[message_id]}")
        (drawn,) = dice.choices([*FATES], [*FATES.values()])
        if drawn != "later":
            line = {"at": time.time(), "id": message_id, "to": to, "taken": drawn == "taken"}
            self._lines.write(json.dumps(line | {"raw": base64.b64encode(raw).decode()}) + "\n")
            self._lines.flush()
        return drawn


async def run(port: int, file: Path, seed: str) -> None:
    with file.open("a") as lines:
        server = await asyncio.start_server(Postbox(lines, seed).serve, "127.0.0.1", port)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
