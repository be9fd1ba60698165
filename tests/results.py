"""Results that go somewhere, seen from outside: asked for, and followed until they have arrived."""

from __future__ import annotations

from typing import Any

from tests.house import PATIENCE, eventually
from tests.http import Api


class Results:
    """What one account has sent to its receivers."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def ask(self, url: str, text: str = "[model tokens=3]", **more: Any) -> tuple[str, str]:
        """A conversation and its run, whose result goes to the URL."""
        conversation = await self.api.conversation()
        return conversation, await self.ask_in(conversation, url, text, **more)

    async def ask_in(self, conversation: str, url: str, text: str, **more: Any) -> str:
        body = {"text": text, "delivery": {"webhook": {"url": url}}} | more
        told = await self.api.ok(f"/v1/conversation/{conversation}/dispatch", body)
        run: str = told["runId"]
        return run

    async def of(self, run: str) -> list[dict[str, Any]]:
        """The deliveries of a run."""
        return list((await self.api.get(f"/v1/delivery/list?runId={run}")).body["items"])

    async def one(self, run: str, state: str = "delivered", seconds: float = PATIENCE) -> dict[str, Any]:
        """The one delivery of a run, with its attempts, once it is in that state."""

        async def check() -> dict[str, Any]:
            found = await self.of(run)
            assert [one["state"] for one in found] == [state], found
            return found[0]

        return await self.shown((await eventually(check, seconds))["id"])

    async def shown(self, delivery: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.api.get(f"/v1/delivery/{delivery}/fetch")).body
        return found

    async def tried(self, run: str, times: int, seconds: float = PATIENCE) -> dict[str, Any]:
        """The one delivery of a run, once so many of its attempts have ended."""

        async def check() -> dict[str, Any]:
            found = await self.of(run)
            assert [one["attempts"] >= times for one in found] == [True], found
            return found[0]

        return await eventually(check, seconds)


def codes(delivery: dict[str, Any]) -> list[str | None]:
    """Why its attempts failed, the oldest first."""
    return [one.get("errorCode") for one in reversed(delivery["tried"])]
