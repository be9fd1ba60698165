"""docs/webhooks.md as its reader follows it: its commands, its receiver, its line that verifies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.deploy.platform import free_port
from tests.house import House, eventually
from tests.http import Api
from tests.receiver import Receiver
from tests.tenant import Tenant

PAGE = (Path(__file__).parent.parent / "docs" / "webhooks.md").read_text()
RECEIVER, BY_HAND = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MAKE, DEAD = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHAPES = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
SENT = "https://receiver.example.com/results"
DONE = "[model calls=1 tool=_success args=summary:finished]"


async def shell(tenant: Tenant, script: str) -> list[Any]:
    """What its commands answer."""
    api = tenant.api
    env = os.environ | {"HOLDFAST_URL": api.url, "HOLDFAST_API_KEY": api.key}
    script = script.replace('curl "', 'curl -sS -w "\\n" "')
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, env=env, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in told.splitlines() if line]


@asynccontextmanager
async def listening(secret: str, tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """The page's receiver as a process: its address, and where it prints."""
    port, heard = free_port(), tmp_path / "heard"
    env = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": secret}
    with heard.open("wb") as out:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", RECEIVER, env=env, stdout=out)
        try:
            yield f"http://127.0.0.1:{port}/results", heard
        finally:
            process.kill()
            await process.wait()


async def trigger_of_the_page(tenant: Tenant, **fields: Any) -> str:
    """Made by the page's command, for an agent that is done soon."""
    (made,) = await shell(tenant, MAKE)
    await tenant.api.ok(f"/v1/integration/trigger/{made['id']}/update", {"description": DONE, **fields})
    trigger: str = made["id"]
    return trigger


async def webhook_of(api: Api, trigger: str) -> dict[str, Any]:
    shown = (await api.get(f"/v1/integration/trigger/{trigger}/fetch")).body
    webhook: dict[str, Any] = shown["delivery"]["webhook"]
    return webhook


async def delivered(api: Api, delivery: str, run: str) -> None:
    async def check() -> None:
        found = (await api.get(f"/v1/delivery/{delivery}/fetch")).body
        assert (found["runId"], found["state"]) == (run, "delivered")

    await eventually(check)


async def test_its_trigger_is_made_and_its_receiver_verifies_what_is_sent(
    tenant: Tenant, tmp_path: Path
) -> None:
    api = tenant.api
    trigger = await trigger_of_the_page(tenant)
    webhook = await webhook_of(api, trigger)
    assert webhook["url"] == SENT

    async with listening(webhook["secret"], tmp_path) as (url, heard):
        await api.ok(f"/v1/integration/trigger/{trigger}/update", {"delivery": {"webhook": {"url": url}}})
        told = await api.ok(f"/v1/integration/trigger/{trigger}/invoke", {})

        async def printed() -> str:
            line = heard.read_text()
            assert line.endswith("\n")
            return line

        delivery, type_, text = (await eventually(printed)).split()

        assert (type_, text) == ("trigger.completed", "finished")
        await delivered(api, delivery, told["runId"])
        async with api.session.post(url, data=b"{}", headers={"webhook-id": delivery}) as forged:
            assert forged.status == 401


async def test_its_line_makes_the_signature_by_hand(tenant: Tenant) -> None:
    api, names = tenant.api, dict[str, Any]()
    exec(BY_HAND, names)
    async with Receiver() as receiver:
        trigger = await trigger_of_the_page(tenant, delivery={"webhook": {"url": f"{receiver.url}/results"}})
        secret = (await webhook_of(api, trigger))["secret"]
        await api.ok(f"/v1/integration/trigger/{trigger}/invoke", {})

        async def check() -> None:
            assert receiver.requests["results"]

        await eventually(check)
        (sent,) = receiver.requests["results"]

        made = names["signature"](secret, sent.id, sent.headers["webhook-timestamp"], sent.body)
        assert made in sent.headers["webhook-signature"].split(" ")
        # The body looks as the page says.
        _, _, body = SHAPES
        got = json.loads(sent.body)
        assert got.keys() == body.keys()
        assert body["data"].keys() <= got["data"].keys()


async def test_its_dead_letters_are_listed_and_sent_again(tenant: Tenant, house: House) -> None:
    api = tenant.api
    async with Receiver() as receiver:
        url = f"{receiver.url}/times=1/stop/results"
        trigger = await trigger_of_the_page(tenant, delivery={"webhook": {"url": url}})
        await api.ok(f"/v1/integration/trigger/{trigger}/invoke", {})

        async def dead() -> Any:
            found = (await api.get("/v1/delivery/list?state=dead")).body["items"]
            assert len(found) == 1
            return found[0]

        letter = await eventually(dead)
        listed, again = await shell(tenant, DEAD)

        assert [one["id"] for one in listed["items"]] == [letter["id"]]
        assert again == {"count": 1, "more": False}

        await delivered(api, letter["id"], letter["runId"])
        assert receiver.distinct_ids == {letter["id"]}
