"""task/subscribe: what a task's runs do, heard before, during and across them, each thing once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain import ids
from store import Store
from tests.api.test_streams import SSE, sse
from tests.executions import begun, done, failed, finish, finish_all, new_execution, tell
from tests.house import PATIENCE
from tests.tasks import new_task
from tests.tenant import Tenant

JSON = dict[str, Any]
Heard = tuple[str, str]


@pytest.fixture
async def task(tenant: Tenant) -> AsyncIterator[str]:
    """A task, of which nothing is left unfinished."""
    made = await new_task(tenant.house.store, tenant.account)
    yield made
    await finish_all(tenant.house.store, made)


@pytest.fixture
def store(tenant: Tenant) -> Store:
    return tenant.house.store


@asynccontextmanager
async def listening(
    tenant: Tenant, task: str, body: JSON | None = None, **headers: str
) -> AsyncIterator[AsyncIterator[JSON]]:
    async with (
        asyncio.timeout(PATIENCE),
        tenant.api.streaming(f"/v1/task/{task}/subscribe", body, **headers) as lines,
    ):
        yield lines


async def hear(lines: AsyncIterator[JSON], count: int) -> list[JSON]:
    return [await anext(lines) for _ in range(count)]


def said(lines: list[JSON]) -> list[Heard]:
    """The type of each line, and the operation or the code that it is about."""
    return [(line["type"], line["data"].get("id") or line["data"]["code"]) for line in lines]


def operations(run: str, *numbers: int) -> list[Heard]:
    return [(kind, f"{run}/{n}") for n in numbers for kind in ("operationBegin", "operationEnd")]


async def test_it_is_open_before_a_run_and_hears_across_runs_what_they_do(
    tenant: Tenant, store: Store, task: str
) -> None:
    async with listening(tenant, task) as lines:
        first = await new_execution(store, task, "running")
        await tell(store, first, begun(first))
        (line,) = await hear(lines, 1)
        await tell(store, first, done(first))
        await finish(store, first)
        second = await new_execution(store, task, "running")
        await tell(store, second, begun(second), done(second))
        rest = await hear(lines, 3)

    assert line["type"] == "operationBegin"
    assert line["data"] == {
        "id": f"{first}/1",
        "action": {"id": f"{first}/1", "kind": "skillset", "name": "look", "input": {"n": 1}},
    }
    assert isinstance(line["createdAt"], int)
    assert said([line, *rest]) == operations(first, 1) + operations(second, 1)


async def test_why_a_run_failed_is_told_and_that_one_was_cancelled_is_not(
    tenant: Tenant, store: Store, task: str
) -> None:
    async with listening(tenant, task) as lines:
        stopped = await new_execution(store, task, "running")
        await tenant.api.ok(f"/v1/task/{task}/execution/{stopped}/cancel")
        broken = await new_execution(store, task, "running")
        await finish(store, broken, "failed", failed(broken))
        (line,) = await hear(lines, 1)

    assert (line["type"], line["data"]["code"], line["data"]["runId"]) == ("error", "MODEL_REFUSED", broken)


async def test_it_begins_with_as_many_of_the_newest_as_are_asked_for(
    tenant: Tenant, store: Store, task: str
) -> None:
    first, second = [await new_execution(store, task, "running") for _ in range(2)]
    for run in (first, second):
        await tell(store, run, begun(run), done(run))
        await finish(store, run)
    told = operations(first, 1) + operations(second, 1)
    third = await new_execution(store, task, "running")

    for count in (0, 1, 3, 4, 1_000):
        async with listening(tenant, task, {"historyLength": count}) as lines:
            await tell(store, third, begun(third, count + 1))
            heard = said(await hear(lines, min(count, len(told)) + 1))
        told.append(("operationBegin", f"{third}/{count + 1}"))
        assert heard == told[-count - 1 :]


async def test_without_a_history_only_what_comes_is_heard(tenant: Tenant, store: Store, task: str) -> None:
    running = await new_execution(store, task, "running", told=[begun("run_before")])

    async with listening(tenant, task) as lines:
        await tell(store, running, begun(running))
        (line,) = await hear(lines, 1)

    assert said([line]) == [("operationBegin", f"{running}/1")]


async def test_those_who_come_while_much_happens_hear_each_thing_once(
    tenant: Tenant, store: Store, task: str
) -> None:
    runs = [await new_execution(store, task, "running") for _ in range(3)]
    last = 30

    async def work(run: str) -> None:
        for n in range(1, last + 1):
            await tell(store, run, begun(run, n))
            await tell(store, run, done(run, n))

    async def listen() -> list[Heard]:
        heard: list[Heard] = []
        async with listening(tenant, task, {"historyLength": 1_000}) as lines:
            while len(heard) < len(runs) * last * 2:
                heard += said(await hear(lines, 1))
        return heard

    working = asyncio.gather(*(work(run) for run in runs))
    listeners = []
    for _ in range(4):
        listeners.append(asyncio.create_task(listen()))
        await asyncio.sleep(0.05)
    await working

    for heard in await asyncio.gather(*listeners):
        for run in runs:
            assert [one for one in heard if one[1].startswith(run)] == operations(run, *range(1, last + 1))


async def test_a_listener_who_was_cut_off_goes_on_after_the_last_line_it_has(
    tenant: Tenant, store: Store, task: str
) -> None:
    """Of runs that go on beside each other too: a line's id says how far each was heard."""
    one, other = [await new_execution(store, task, "running") for _ in range(2)]
    await tell(store, one, begun(one, 1))
    await tell(store, other, begun(other, 1))
    await tell(store, one, done(one, 1))

    async with listening(tenant, task, {"historyLength": 1_000}) as lines:
        heard = await hear(lines, 2)
    await tell(store, other, done(other, 1))
    await finish(store, one)
    await new_execution(store, task, told=[begun("run_late", 1), done("run_late", 1)])
    after = {"after": heard[1]["id"]}
    async with listening(tenant, task, {"historyLength": 1_000, **after}) as lines:
        heard += await hear(lines, 2)
    async with listening(tenant, task, **{"Last-Event-ID": heard[3]["id"]}) as lines:
        heard += await hear(lines, 2)
        await tell(store, other, begun(other, 2))
        heard += await hear(lines, 1)

    assert sorted(said(heard)) == sorted(
        operations(one, 1)
        + operations(other, 1)
        + operations("run_late", 1)
        + [("operationBegin", f"{other}/2")]
    )
    assert said(heard)[:2] == [("operationBegin", f"{one}/1"), ("operationBegin", f"{other}/1")]


async def test_the_id_of_a_server_sent_line_is_the_one_that_it_carries(
    tenant: Tenant, store: Store, task: str
) -> None:
    await new_execution(store, task, told=[begun("run_x"), done("run_x")])
    api = tenant.api
    sent = SSE | {"Authorization": f"Bearer {api.key}"}

    async with api.session.post(
        f"{api.url}/v1/task/{task}/subscribe", json={"historyLength": 2}, headers=sent
    ) as answer:
        raw = await answer.content.readuntil(b"\n\n") + await answer.content.readuntil(b"\n\n")

    assert [event["type"] for event in sse(raw)] == ["operationBegin", "operationEnd"]
    for block, event in zip(raw.decode().split("\n\n"), sse(raw), strict=False):
        assert f'"id":"{event["id"]}"}}' in block


@pytest.mark.parametrize("given", ["x", "1-", "1-2", "1-2.", "-1", "1 2"])
async def test_an_id_that_no_line_has_is_refused(tenant: Tenant, task: str, given: str) -> None:
    path = f"/v1/task/{task}/subscribe"

    in_body = await tenant.api.post(path, {"after": given}, Accept="application/jsonl")
    in_header = await tenant.api.post(path, {}, **{"Accept": "application/jsonl", "Last-Event-ID": given})

    assert (in_body.status, in_header.status) == (400, 400)
    assert "after" in in_body.body["message"]
    assert "Last-Event-ID" in in_header.body["message"]


async def test_an_id_of_another_task_opens_nothing_of_that(tenant: Tenant, store: Store, task: str) -> None:
    other = await new_task(store, tenant.account)
    secret = await new_execution(store, other, "running", told=[begun("run_secret", n) for n in range(9)])
    async with listening(tenant, other, {"historyLength": 9}) as lines:
        place = (await hear(lines, 1))[0]["id"]

    async with listening(tenant, task, {"after": place}) as lines:
        mine = await new_execution(store, task, "running")
        await tell(store, secret, begun("run_secret", 10))
        await tell(store, mine, begun(mine))
        heard = await hear(lines, 1)
    await finish_all(store, other)

    assert said(heard) == [("operationBegin", f"{mine}/1")]


async def test_what_was_said_in_a_conversation_that_is_deleted_is_not_heard_any_more(
    tenant: Tenant, store: Store, task: str
) -> None:
    conversation = await tenant.api.conversation()
    gone = await new_execution(
        store, task, "running", {"conversation_id": conversation}, summary="canary", told=[begun("canary")]
    )
    await tenant.api.ok(f"/v1/conversation/{conversation}/delete")

    async with listening(tenant, task, {"historyLength": 1_000}) as lines:
        after = await new_execution(store, task, "running")
        await tell(store, after, begun(after))
        heard = await hear(lines, 1)
    listed = (await tenant.api.get(f"/v1/task/{task}/execution/list")).body["items"]

    assert said(heard) == [("operationBegin", f"{after}/1")]
    assert [(one["id"], one["status"]) for one in listed] == [(after, "running"), (gone, "canceled")]
    assert "canary" not in str(listed)


async def test_the_stream_of_a_task_that_is_deleted_ends_by_saying_so(
    tenant: Tenant, store: Store, task: str
) -> None:
    async with listening(tenant, task) as lines:
        await store.database.execute("DELETE FROM task WHERE id = $1", task)
        heard = [line async for line in lines]

    assert [(line["type"], line["data"]["code"]) for line in heard] == [("error", "NOT_FOUND")]


async def test_it_is_a_stream_or_nothing(tenant: Tenant, task: str) -> None:
    status, body, _ = await tenant.api.post(f"/v1/task/{task}/subscribe")
    unknown = await tenant.api.post(f"/v1/task/{ids.task()}/subscribe", {}, Accept="application/jsonl")
    foolish = await tenant.api.post(
        f"/v1/task/{task}/subscribe", {"historyLength": 1_001}, Accept="application/jsonl"
    )

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert "Accept" in body["message"]
    assert (unknown.status, foolish.status) == (404, 400)
    assert "historyLength" in foolish.body["message"]


async def test_a_listener_whose_key_is_revoked_hears_no_more(tenant: Tenant, store: Store, task: str) -> None:
    run = await new_execution(store, task, "running")
    key = await store.accounts.create_key(tenant.account, "lost")
    (*_, made) = await tenant.acts("key.create")
    async with (
        tenant.house.api(key=key) as thief,
        listening(Tenant(tenant.account, thief, tenant.house), task) as lines,
    ):
        await store.accounts.revoke_key(made["keyId"])
        await tell(store, run, begun(run))
        assert [line async for line in lines] == []


async def test_runs_that_an_agent_made_are_heard_listed_and_counted(tenant: Tenant, store: Store) -> None:
    said_done = "[model calls=1 tool=_success args=summary:finished]"
    good = await new_task(store, tenant.account, description=said_done)
    bad = await new_task(store, tenant.account, description="[model status=400]")

    async with listening(tenant, good) as well, listening(tenant, bad) as badly:
        runs = [(await tenant.api.ok(f"/v1/task/{made}/trigger"))["executionId"] for made in (good, bad)]
        heard, (failure,) = await hear(well, 2), await hear(badly, 1)
    lists = [
        (await tenant.api.get(f"/v1/task/{made}/execution/list")).body["items"][0] for made in (good, bad)
    ]
    figures = [(await tenant.api.get(f"/v1/task/{made}/usage/fetch")).body for made in (good, bad)]

    assert [(line["type"], line["data"]["action"]["name"]) for line in heard] == [
        ("operationBegin", "_success"),
        ("operationEnd", "_success"),
    ]
    assert (failure["data"]["code"], failure["data"]["runId"]) == ("MODEL_REFUSED", runs[1])
    assert [one["id"] for one in lists] == runs
    assert (lists[0]["outcome"], lists[0]["summary"], lists[1]["outcome"]) == (
        *("success", "finished"),
        "failure",
    )
    assert all(one["completedAt"] for one in lists)
    assert [(one["runs"], one["success"], one["failure"]) for one in figures] == [(1, 1, 0), (1, 0, 1)]
    assert figures[0]["tokens"] > 0
    assert figures[0]["durations"]["p50"] >= 0
