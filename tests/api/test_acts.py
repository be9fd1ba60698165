"""One of every act that the audit log tells of, and what a table has of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import get_args

from domain import ids
from domain.audit import Act
from domain.occurrences import following
from domain.schedule import Timing, parse
from tests.api.test_exports import cell, table
from tests.api.test_foreign import ABILITY
from tests.api.test_tasks import at_work
from tests.house import eventually, minute_lasts
from tests.tasks import new_task
from tests.tenant import Tenant
from tests.triggers import new_trigger, source

ENDLESS = {"text": "[model endless=1]"}
SITE = "https://www.example.com"
HOOK = "https://receiver.invalid/results"


async def test_a_table_of_the_log_has_all_that_an_entry_of_any_act_has(tenant: Tenant) -> None:
    await of_runs(tenant)
    await of_things(tenant)
    await of_tasks(tenant)
    await of_doors(tenant)
    await of_targets(tenant)

    await eventually(partial(_over, tenant))
    entries = await tenant.acts()
    told, _ = await table(tenant, "/event/log/export?order=asc")

    assert {entry["type"] for entry in entries} == {*get_args(Act)}
    for entry, row in zip(entries, told, strict=True):
        assert {name: text for name, text in row.items() if text} == {
            name: cell(value) for name, value in entry.items()
        }


async def _over(tenant: Tenant) -> None:
    """Nothing goes on that would be told of later."""
    open_ = "SELECT FROM run WHERE account_id = $1 AND ended_at IS NULL"
    assert not await tenant.house.rows(open_, tenant.account)


async def of_runs(tenant: Tenant) -> None:
    """Turns that end in each way."""
    api = tenant.api
    conversation = f"/v1/conversation/{await api.conversation()}"
    for prompt in ("[model tokens=1]", "[model status=400]"):
        await api.post(f"{conversation}/complete", {"text": prompt})
    await api.ok(f"{conversation}/dispatch", ENDLESS)
    await api.ok(f"{conversation}/dispatch", ENDLESS | {"onBusy": "interrupt"})
    await api.ok(f"{conversation}/dispatch", {"text": "[model tokens=20 delay=200]", "onBusy": "rollback"})
    await api.ok(f"{conversation}/complete", {"text": "[model tokens=1]", "onBusy": "steer"})
    last = await api.ok(f"{conversation}/dispatch", ENDLESS)
    await api.ok(f"/v1/run/{last['runId']}/budget", {"tokens": 10**6})
    await api.ok(f"/v1/run/{last['runId']}/cancel")


async def of_things(tenant: Tenant) -> None:
    """Things that are made, changed, judged and removed."""
    api = tenant.api
    bot = (await api.ok("/v1/bot/create"))["id"]
    contact = (await api.ok("/v1/contact/create"))["id"]
    secret = (await api.ok("/v1/secret/create", {"value": "x"}))["id"]
    conversation = f"conversation/{await api.conversation(botId=bot, contactId=contact)}"
    token = (await api.ok(f"/v1/{conversation}/session/create"))["token"]
    await api.ok(f"/v1/channel/{ids.channel()}/publish", {"message": {"text": "x"}})
    message = f"{conversation}/message/{(await api.ok(f'/v1/{conversation}/send', {'text': 'x'}))['id']}"
    await api.ok(f"/v1/{message}/upvote", {"value": 1})
    skillset = f"skillset/{(await api.ok('/v1/skillset/create'))['id']}"
    ability = (await api.ok(f"/v1/{skillset}/ability/create", ABILITY))["id"]
    task = (await api.ok("/v1/task/create"))["id"]
    await at_work(tenant, task)
    await api.ok(f"/v1/task/{task}/cancel")
    trigger = f"integration/trigger/{(await api.ok('/v1/integration/trigger/create'))['id']}"
    tools = (f"task/{task}", trigger, f"{skillset}/ability/{ability}", skillset, f"secret/{secret}")
    for thing in (message, conversation, f"contact/{contact}", f"bot/{bot}", *tools):
        await api.ok(f"/v1/{thing}/update", {"description": "x"})
        await api.ok(f"/v1/{thing}/delete")
    async with tenant.house.api(key=token) as late:
        assert (await late.get(f"/v1/{conversation}/message/list")).status == 401


async def of_tasks(tenant: Tenant) -> None:
    """What is done to the times of a task, and what becomes of them."""
    store = tenant.house.store
    await minute_lasts()
    task = await new_task(store, tenant.account, schedule="0 7 * * *")
    at = following(parse(Timing(schedule="0 7 * * *"), task), datetime.now(UTC), 1)[0].key
    for act in ("skip", "unskip"):
        await tenant.api.ok(f"/v1/task/{task}/occurrence/{act}", {"occurrenceId": at})
    for act in ("pause", "resume"):
        await tenant.api.ok(f"/v1/task/{task}/{act}")
    await tenant.api.ok(f"/v1/task/{task}/backfill", {"from": 0, "until": 1})
    long_ago = datetime.now(UTC) - timedelta(minutes=9)
    late = await new_task(store, tenant.account, schedule="* * * * *", catchup=240_000, next_at=long_ago)
    await store.ledger.heal(late)
    trigger = await new_trigger(store, tenant.account, schedule="* * * * *")
    (hidden,) = await tenant.house.rows(
        "UPDATE task SET catchup = 240000, next_at = $2 WHERE trigger_id = $1 RETURNING id", trigger, long_ago
    )
    await store.ledger.heal(hidden["id"])
    await tenant.api.ok(f"/v1/integration/trigger/{trigger}/delete")
    for act in ("pause", "cancel"):
        await tenant.api.ok(f"/v1/task/{late}/{act}")


async def of_doors(tenant: Tenant) -> None:
    """Keys, origins and events."""
    store = tenant.house.store
    trigger = await source(tenant.house, tenant.api)
    event = (await trigger.ok())["eventId"]
    await tenant.api.ok(f"/v1/integration/trigger/{trigger.id}/event/{event}/replay")
    assert (await trigger._replace(secret="lost").send()).status == 401
    key = await store.accounts.create_key(tenant.account, "lost")
    await store.accounts.revoke_key((await tenant.acts("key.create"))[-1]["keyId"])
    async with tenant.house.api(key=key) as thief:
        assert (await thief.get("/v1/bot/list")).status == 401
    await store.origins.add(tenant.account, SITE)
    await store.origins.remove(tenant.account, SITE)


async def of_targets(tenant: Tenant) -> None:
    """Where results go, and what is done by hand to what is on its way."""
    api = tenant.api
    task = (await api.ok("/v1/task/create", {"delivery": {"webhook": {"url": HOOK}}}))["id"]
    webhook = (await api.get(f"/v1/task/{task}/fetch")).body["delivery"]["webhook"]
    target = webhook["targetId"]
    ping = (await api.ok(f"/v1/target/{target}/test"))["id"]
    await api.ok(f"/v1/delivery/{ping}/redeliver")
    await api.ok(f"/v1/delivery/{ping}/delete")
    await api.ok(f"/v1/target/{target}/rotate")
    await tenant.house.rows(
        "UPDATE target SET disabled_at = now(), disabled_code = 'TARGET_GONE' WHERE id = $1", target
    )
    await api.ok(f"/v1/target/{target}/enable")
    await api.ok(f"/v1/task/{task}/update", {"delivery": {"webhook": {"url": f"{HOOK}/2"}}})
    await api.ok(f"/v1/task/{task}/update", {"delivery": None})
