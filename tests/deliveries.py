"""Targets and deliveries as rows: what there is when runs have ended whose results go somewhere."""

from __future__ import annotations

import hashlib
from typing import Any

from domain import ids
from domain.delivery import written
from domain.destination import Destination, Said
from store import Store
from store.database import Connection

URL = "https://receiver.example/hook"


async def new_target(store: Store, account: str, url: str = URL, **more: Any) -> str:
    """A webhook's, or with `to` an e-mail's, as a call says it."""
    said = {"kind": "email", "to": more["to"]} if "to" in more else {"kind": "webhook", "url": url}
    destination = Destination(**said | more)
    mark = hashlib.sha256(destination.text.encode()).digest()

    async def work(connection: Connection) -> str:
        (made,) = await store.targets.of_call(connection, account, [Said(mark=mark, destination=destination)])
        return made

    return await store.database.transact(work)


async def new_delivery(store: Store, target: str, **columns: Any) -> str:
    """One that is due; no sweeper sees it before somebody has it look at it (`look_at`)."""
    delivery_id = ids.delivery()
    now = await store.database.fetchval("SELECT clock_timestamp()")
    data = {"runId": "run_1", "state": "succeeded", "outcome": "success", "text": "**done**"}
    body = written("conversation.completed", now, data)
    account = await store.database.fetchval("SELECT account_id FROM target WHERE id = $1", target)
    row = {"id": delivery_id, "account_id": account, "target_id": target, "body": body}
    row |= {"type": "conversation.completed", "look_at": now} | columns
    names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    # The names are a test's own.
    await store.database.execute(f"INSERT INTO delivery ({names}) VALUES ({places})", *row.values())  # noqa: S608
    return delivery_id


async def change(store: Store, table: str, id_: str, **columns: str) -> None:
    """Columns of a row become what SQL says of them."""
    said = ", ".join(f"{name} = {value}" for name, value in columns.items())
    await store.database.execute(f"UPDATE {table} SET {said} WHERE id = $1", id_)  # noqa: S608 a test's own words


async def row_of(store: Store, table: str, id_: str) -> dict[str, Any]:
    row = await store.database.fetchrow(f"SELECT * FROM {table} WHERE id = $1", id_)  # noqa: S608 likewise
    assert row is not None
    return dict(row)
