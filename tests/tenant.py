"""An account of one's own, and what it has in the database."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.house import House
from tests.http import Api

_OWNED = (
    "bot",
    "skillset",
    "contact",
    "conversation",
    "channel",
    "run",
    "rating",
    "secret",
    "task",
    "idempotency",
    "api_key",
    "session",
    "target",
    "delivery",
    "usage",
    "trigger",
    "trigger_event",
)
_THROUGH = {
    "ability": "ability a JOIN skillset s ON s.id = a.skillset_id WHERE s.account_id = $1",
    "execution": "execution e JOIN task t ON t.id = e.task_id WHERE t.account_id = $1",
    "message": "message m JOIN conversation v ON v.id = m.conversation_id WHERE v.account_id = $1",
    "event": "event e JOIN channel c ON c.id = e.channel_id WHERE c.account_id = $1",
}
_FROM = {table: f"{table} WHERE account_id = $1" for table in _OWNED} | _THROUGH
# The names are the constants above.
_COUNTS = "SELECT " + ", ".join(f"(SELECT count(*) FROM {rows}) AS {table}" for table, rows in _FROM.items())  # noqa: S608


class Tenant(NamedTuple):
    account: str
    api: Api
    house: House

    async def belongings(self) -> dict[str, int]:
        """How many rows of each table are this account's."""
        (row,) = await self.house.rows(_COUNTS, self.account)
        return dict(row)

    async def acts(self, *types: str) -> list[dict[str, Any]]:
        """The entries of the audit log, oldest first; of some types where types are given."""
        path = "/v1/event/log/list?order=asc" + (f"&type={','.join(types)}" if types else "")
        found: list[dict[str, Any]] = []
        while page := (await self.api.get(f"{path}&cursor={found[-1]['id'] if found else ''}")).body["items"]:
            found += page
        return found
