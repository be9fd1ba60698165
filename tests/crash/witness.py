"""What the house keeps, seen from outside: its rows, its histories, its logs, and what a listener heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
from temporalio.client import Client, WorkflowHandle

from domain import ids
from tests.house import PATIENCE, House, eventually
from tests.http import Api

Events = AsyncIterator[dict[str, Any]]
Rows = Callable[..., Awaitable[list[asyncpg.Record]]]

# Columns that the sweeper and the retention move by themselves.
_RESTLESS = "'untold_at', 'next_look_at', 'looks'"
_WRITTEN = ("conversation", "message", "run", "step", "channel", "event", "token", "idempotency")

_TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
  AND relnamespace = 'public'::regnamespace ORDER BY relname
"""


class Witness:
    def __init__(self, house: House) -> None:
        self._house = house
        self._client: Client | None = None

    async def kept(self, run_id: str = "") -> Counter[str]:
        """Every row of the tables that a run writes, as text; of one run, those that name it."""
        rows: Counter[str] = Counter()
        whose = (await self.run(run_id))["channel_id"] if run_id else None
        for table in _WRITTEN:
            query = f"SELECT to_jsonb(t) - ARRAY[{_RESTLESS}] AS row FROM {table} t"  # noqa: S608 our own names
            for (row,) in await self._house.rows(query):
                if (
                    not run_id
                    or run_id in (row.get("id"), row.get("run_id"))
                    or row.get("channel_id") == whose
                ):
                    rows[f"{table} {row}"] += 1
        return rows

    async def tables_with(self, word: str) -> list[str]:
        """The tables that hold the word in any column of any type."""
        return await tables_with(self._house.rows, word)

    async def words_of(self, run_id: str) -> list[str]:
        """What the tokens of a run say, for as long as they are kept."""
        query = "SELECT data FROM token JOIN run USING (channel_id) WHERE run.id = $1 ORDER BY seq"
        return [row["data"] for row in await self._house.rows(query, run_id)]

    async def temporal(self) -> Client:
        if self._client is None:
            self._client = await self._house.temporal()
        return self._client

    async def plan(self, run_id: str) -> WorkflowHandle[Any, Any]:
        """The workflow of a run, as an operator's tools see it."""
        return (await self.temporal()).get_workflow_handle((await self.run(run_id))["workflow_id"])

    async def history(self, run_id: str) -> str:
        """The whole history of a run's workflow as text, payloads included."""
        history = await (await self.plan(run_id)).fetch_history()
        return "\n".join(str(event) for event in history.events)

    def logs_with(self, word: str) -> list[str]:
        """The logs that hold the word."""
        logs = sorted((self._house.home / "log").glob("*.log"))
        return [log.name for log in logs if word in log.read_text(errors="replace").lower()]

    async def run(self, run_id: str) -> dict[str, Any]:
        return dict((await self._house.rows("SELECT * FROM run WHERE id = $1", run_id))[0])

    async def attempts(self, run_id: str) -> list[int]:
        """How often each step of a run was begun."""
        rows = await self._house.rows("SELECT attempt FROM step WHERE run_id = $1 ORDER BY ordinal", run_id)
        return [row["attempt"] for row in rows]

    async def ended(self, run_id: str, state: str = "succeeded", seconds: float = PATIENCE) -> dict[str, Any]:
        """The row of a run once it is over; it must have ended in this state."""

        async def check() -> dict[str, Any]:
            row = await self.run(run_id)
            assert row["ended_at"] is not None, row["state"]
            return row

        row = await eventually(check, seconds)
        assert row["state"] == state, (row["state"], row["error_code"], row["error_message"])
        return row

    async def closed(self, run_id: str, seconds: float = PATIENCE) -> None:
        """Returns when the run's workflow is over."""
        plan = await self.plan(run_id)

        async def check() -> None:
            assert (await plan.describe()).close_time is not None, run_id

        await eventually(check, seconds)

    async def hung_up(self, word: str, calls: int = 1) -> list[dict[str, Any]]:
        """The calls with this word, once our side has closed so many of them."""

        async def check() -> list[dict[str, Any]]:
            closed = [call for call in await self._house.calls(word) if call["closed_by_client"]]
            assert len(closed) == calls, closed
            return closed

        return await eventually(check)


async def tables_with(rows: Rows, word: str) -> list[str]:
    """The tables that hold the word, as whoever asks a database for rows finds them."""
    found = []
    for (table,) in await rows(_TABLES):
        query = f"SELECT count(*) FROM {table} t WHERE t::text ILIKE $1"  # noqa: S608 the catalogue's names
        if (await rows(query, f"%{word}%"))[0][0]:
            found.append(table)
    return found


def kind(event: dict[str, Any]) -> str:
    """The type of an event on a channel."""
    carried: str = event["data"]["type"]
    return carried


async def some(events: Events, tokens: int) -> list[dict[str, Any]]:
    """The next events of a channel, up to so many tokens."""
    seen: list[dict[str, Any]] = []
    while tokens:
        seen.append(await anext(events))
        tokens -= kind(seen[-1]) == "token"
    return seen


def inner_error(events: list[dict[str, Any]]) -> str | None:
    """The code of the error that a channel's events end with; None when they end otherwise."""
    last = events[-1]["data"]
    code: str | None = last["data"].get("code") if last["type"] == "error" else None
    return code


class Turn:
    """A turn and somebody who listens to it."""

    def __init__(self, api: Api, conversation: str, tokens: int) -> None:
        self.conversation, self.tokens, self.word = conversation, tokens, ids.new("canary")
        self.ask = f"{self.word} [model tokens={tokens} delay=30]"
        self.whole = " ".join(f"t{n}" for n in range(1, tokens + 1))
        self.seen: list[dict[str, Any]] = []
        self._api = api

    async def speak(self) -> None:
        """Begins, and says ten tokens."""
        told = await self._api.ok(f"/v1/conversation/{self.conversation}/dispatch", {"text": self.ask})
        self.run: str = told["runId"]
        await self._listen(lambda: self._count("token") == 10)

    async def begin_again(self) -> None:
        """Its second attempt says a few words."""
        await self._listen(lambda: self._count("completeBegin") == 2)
        await self.speak_on(5)

    async def speak_on(self, words: int) -> None:
        words += self._count("token")
        await self._listen(lambda: self._count("token") == words)

    async def end(self) -> None:
        await self._listen(lambda: False)
        assert kind(self.seen[-1]) == "result"

    def _count(self, wanted: str) -> int:
        return [kind(event) for event in self.seen].count(wanted)

    async def _listen(self, enough: Callable[[], bool]) -> None:
        """Goes on from the last event heard until it has heard enough, or everything."""
        after = self.seen[-1]["seq"] if self.seen else 0
        async with self._api.streaming(f"/v1/run/{self.run}/subscribe", {"after": after}) as events:
            async for event in events:
                self.seen.append(event)
                if enough():
                    return
