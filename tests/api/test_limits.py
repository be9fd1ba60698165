"""Limits: what is too much is refused before it is accepted, and told by name, with the time to come back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request

from api.limits import _MANY, Buckets, Limits, Most, kind_of
from api.routes import SERVED
from domain.account import Caller
from domain.errors import LimitsReached
from tests.house import House, eventually, minute_lasts
from tests.http import Answer, Api
from tests.tenant import Tenant
from tests.triggers import source

LONG = "[model tokens=4000 delay=50]"
STARTS, WRITES, READS = 40, 20, 60
HELLO = {"messages": [{"type": "user", "text": "hello"}]}


@pytest.fixture(scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house that takes little of anything, with two processes that answer."""
    built = House(
        tmp_path_factory.mktemp("house"),
        HOLDFAST_STARTS_PER_MINUTE=str(STARTS),
        HOLDFAST_WRITES_PER_MINUTE=str(WRITES),
        HOLDFAST_READS_PER_MINUTE=str(READS),
        HOLDFAST_SUBSCRIBERS="4",
        HOLDFAST_SUBSCRIBERS_PER_ACCOUNT="2",
        HOLDFAST_TOKENS_PER_DAY="100",
        HOLDFAST_WAITING_RUNS_PER_ACCOUNT="3",
        HOLDFAST_WAITING_RUNS_PER_CONVERSATION="2",
        HOLDFAST_ACTIVE_BACKGROUND_RUNS="1",
    )
    try:
        await built.open("api2")
        await built.ready("api2")
        yield built
    finally:
        await built.close()


@pytest.fixture
async def tenant(small: House) -> AsyncIterator[Tenant]:
    """An account of one's own, in that house."""
    account, key = await small.new_account("a tenant")
    async with small.api(key=key) as client:
        yield Tenant(account, client, small)


def refused(answer: Answer, setting: str, most: str) -> int:
    """Seconds after which to come back, from an answer that says which limit was reached."""
    assert answer.status == 429, answer
    assert answer.body["code"] == "LIMITS_REACHED"
    assert setting in answer.body["message"], answer.body
    assert most in answer.body["message"], answer.body
    return int(answer.headers["Retry-After"])


async def call(api: Api, kind: str) -> Answer:
    """One request of a kind."""
    if kind == "reads":
        return await api.get("/v1/bot/list")
    if kind == "writes":
        return await api.post("/v1/bot/create", {})
    return await api.post("/v1/conversation/complete", {"messages": []})


async def exhausted(
    ask: Callable[[], Awaitable[Answer]], a_minute: int, status: int = 200
) -> tuple[Answer, int]:
    """The first answer that is refused, and how many were not: a minute's worth, and what came in since."""
    began, taken = time.monotonic(), 0
    while (answer := await ask()).status != 429:
        assert answer.status == status, answer
        taken += 1
    assert a_minute <= taken <= a_minute * (1 + (time.monotonic() - began) / 60)
    return answer, taken


KINDS = [("starts", STARTS), ("writes", WRITES), ("reads", READS)]


@pytest.mark.parametrize(("kind", "most"), KINDS)
async def test_a_key_has_its_part_of_what_its_account_may_ask_in_a_minute(
    tenant: Tenant, kind: str, most: int
) -> None:
    setting, api = f"HOLDFAST_{kind.upper()}_PER_MINUTE", tenant.api

    answer, taken = await exhausted(partial(call, api, kind), most // 2, 400 if kind == "starts" else 200)

    wait = refused(answer, "HOLDFAST_KEY_PERCENT", str(most // 2))
    assert setting in answer.body["message"]
    assert 0 < wait <= 60 / (most // 2) + 1
    assert (await tenant.belongings())["bot"] == (taken if kind == "writes" else 0)
    # What is counted as one kind leaves the others as they were.
    others = [other for other, _ in KINDS if other != kind]
    assert all([(await call(api, other)).status != 429 for other in others])


async def test_the_keys_of_an_account_share_what_it_may_ask(tenant: Tenant) -> None:
    keys = [await tenant.house.store.accounts.create_key(tenant.account, name) for name in "abc"]
    for key in keys[:2]:
        async with tenant.house.api(key=key) as api:
            for _ in range(READS // 2):
                assert (await call(api, "reads")).status == 200

    async with tenant.house.api(key=keys[2]) as api:
        # One a second comes in again.
        while (answer := await call(api, "reads")).status == 200:
            pass

    refused(answer, "An account may read 60 times a minute (HOLDFAST_READS_PER_MINUTE)", "60")


async def test_a_session_is_counted_like_a_key_of_its_own(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    session = await tenant.api.ok(f"/v1/conversation/{conversation}/session/create")
    async with tenant.house.api(key=session["token"]) as page:
        path = f"/v1/conversation/{conversation}/message/list"
        answer, _ = await exhausted(partial(page.get, path), READS // 2)

    refused(answer, "HOLDFAST_KEY_PERCENT", "30")
    assert (await call(tenant.api, "reads")).status == 200


async def test_one_account_at_its_limit_leaves_another_alone(tenant: Tenant) -> None:
    while (await call(tenant.api, "reads")).status == 200:
        pass
    _, other = await tenant.house.new_account("another")

    async with tenant.house.api(key=other) as api:
        assert (await call(api, "reads")).status == 200


async def test_who_comes_back_when_told_is_served(tenant: Tenant) -> None:
    while (answer := await call(tenant.api, "reads")).status == 200:
        pass
    wait = refused(answer, "HOLDFAST_READS_PER_MINUTE", "30")

    async def served() -> None:
        assert (await call(tenant.api, "reads")).status == 200

    await eventually(served, wait + 0.5)


async def test_calls_that_are_not_served_count_as_well(tenant: Tenant) -> None:
    answer, _ = await exhausted(partial(tenant.api.get, "/v1/dataset/list"), READS // 2, 501)

    refused(answer, "HOLDFAST_READS_PER_MINUTE", "30")


async def test_an_account_holds_so_many_streams_open_and_no_more(tenant: Tenant) -> None:
    api, path = tenant.api, "/v1/channel/a-channel-nobody-writes-to/subscribe"
    async with api.streaming(path):
        async with api.streaming("/v1/event/log/subscribe"):
            answer = await api.post("/v1/conversation/complete", HELLO, Accept="application/jsonl")

            refused(answer, "HOLDFAST_SUBSCRIBERS_PER_ACCOUNT", "2")
            assert (await tenant.belongings())["run"] == 0
            assert (await api.post("/v1/conversation/complete", HELLO)).status == 200

        async def again() -> None:
            async with api.streaming("/v1/event/log/subscribe"):
                pass

        await eventually(again)


async def test_a_process_holds_so_many_streams_open_and_no_more(small: House) -> None:
    path = "/v1/event/log/subscribe"
    async with AsyncExitStack() as open_:
        for name in ("one", "two"):
            _, key = await small.new_account(name)
            api = await open_.enter_async_context(small.api(key=key))
            for _ in range(2):
                await open_.enter_async_context(api.streaming(path))
        _, key = await small.new_account("three")
        api = await open_.enter_async_context(small.api(key=key))

        refused(await api.post(path, {}, Accept="text/event-stream"), "HOLDFAST_SUBSCRIBERS)", "4")
        other = await open_.enter_async_context(small.api("api2", key=key))
        await open_.enter_async_context(other.streaming(path))


async def test_an_account_that_used_its_tokens_waits_for_tomorrow(tenant: Tenant) -> None:
    await minute_lasts()
    ask = {"messages": [{"type": "user", "text": "[model tokens=100]"}]}
    answered = await tenant.api.ok("/v1/conversation/complete", ask, **{"Idempotency-Key": "one"})
    # Another process, which has not counted yet; the first believes its own count for a few seconds.
    async with await second(tenant) as api:
        answer = await api.post("/v1/conversation/dispatch", ask, **{"Idempotency-Key": "two"})
        again = await api.ok("/v1/conversation/complete", ask, **{"Idempotency-Key": "one"})
        sent = await api.post(f"/v1/conversation/{await api.conversation()}/send", {"text": "hello"})

    assert 0 < refused(answer, "HOLDFAST_TOKENS_PER_DAY", "100") <= 86_400
    assert (await tenant.belongings())["run"] == 1
    assert again == answered
    # It runs nothing.
    assert sent.status == 200


async def test_so_many_turns_of_a_conversation_wait_and_no_more(tenant: Tenant) -> None:
    api = tenant.api
    path = f"/v1/conversation/{await api.conversation()}/dispatch"
    runs = [await waits(api, path, str(n)) for n in range(3)]

    answer = await api.post(path, {"text": LONG})

    refused(answer, "HOLDFAST_WAITING_RUNS_PER_CONVERSATION", "2")
    assert (await tenant.belongings())["run"] == 3
    assert await waits(api, path, "2") == runs[2]
    await api.ok(f"/v1/run/{runs[1]}/cancel")
    await api.ok(path, {"text": LONG})
    refused(await api.post(path, {"text": LONG}), "HOLDFAST_WAITING_RUNS_PER_CONVERSATION", "2")
    # Who makes way for itself does not wait.
    await api.ok(path, {"text": LONG, "onBusy": "interrupt"})
    await canceled(tenant)


async def test_so_many_runs_of_an_account_wait_and_no_more(tenant: Tenant) -> None:
    api, path = tenant.api, "/v1/conversation/dispatch"
    runs = [await waits(api, path, str(n)) for n in range(4)]

    answer = await api.post(path, stateless())

    refused(answer, "HOLDFAST_WAITING_RUNS_PER_ACCOUNT", "3")
    assert (await tenant.belongings())["run"] == 4
    assert await waits(api, path, "3") == runs[3]
    # Who finds a place at once does not wait.
    assert (await api.post("/v1/conversation/complete", HELLO)).status == 200
    await api.ok(f"/v1/run/{runs[3]}/cancel")
    async with await second(tenant) as fresh:
        await fresh.ok(path, stateless())
    await canceled(tenant)


async def second(tenant: Tenant) -> Api:
    """The account's client of the other process, with a key of its own."""
    key = await tenant.house.store.accounts.create_key(tenant.account, "another")
    return tenant.house.api("api2", key)


def stateless() -> dict[str, Any]:
    return {"messages": [{"type": "user", "text": LONG}]}


async def waits(api: Api, path: str, key: str) -> str:
    """The run of a dispatch that was accepted under a key."""
    body = stateless() if path == "/v1/conversation/dispatch" else {"text": LONG}
    run: str = (await api.ok(path, body, **{"Idempotency-Key": key}))["runId"]
    return run


async def canceled(tenant: Tenant) -> None:
    """Leaves the one place of the background to the next test."""
    for row in await tenant.house.rows(
        "SELECT id FROM run WHERE account_id = $1 AND ended_at IS NULL", tenant.account
    ):
        caller = Caller(account_id=tenant.account, key_id="key_tests")
        await tenant.house.store.turns.cancel(caller, row["id"])


def test_what_starts_work_is_counted_apart_from_what_writes_and_what_reads() -> None:
    kinds: dict[str, set[str]] = {}
    for verb, path, _ in SERVED:
        request = Request({"type": "http", "method": verb, "path": f"/v1{path}", "headers": []})
        kinds.setdefault(kind_of(request), set()).add(path)

    assert kinds["starts"] == {
        "/conversation/complete",
        "/conversation/dispatch",
        *(f"/conversation/{{conversation}}/{word}" for word in ("send", "receive", "complete", "dispatch")),
        "/skillset/{skillset}/ability/{ability}/execute",
        "/task/{task}/backfill",
        "/task/{task}/trigger",
        "/integration/trigger/{trigger}/invoke",
        "/integration/trigger/{trigger}/event/{event}/replay",
    }
    assert {path for path in kinds["reads"] if path.endswith("/subscribe")} == {
        "/channel/{channel}/subscribe",
        "/event/log/subscribe",
        "/run/{run}/subscribe",
        "/task/{task}/subscribe",
    }
    assert {path for verb, path, _ in SERVED if verb == "GET"} <= kinds["reads"]


def test_a_bucket_takes_a_minutes_worth_at_once_and_fills_evenly() -> None:
    buckets, who = Buckets(), {("reads", "a"): 60}

    taken = [buckets.take(who, 0.0)[1] == 0 for _ in range(61)]

    assert taken == [True] * 60 + [False]
    assert buckets.take(who, 0.5)[1] == pytest.approx(0.5)
    assert buckets.take(who, 1.0)[1] == 0
    assert buckets.take(who, 1.0)[1] == pytest.approx(1.0)
    assert [buckets.take(who, 1_000.0)[1] == 0 for _ in range(61)] == taken


def test_buckets_that_are_full_again_are_forgotten() -> None:
    buckets = Buckets()

    for n in range(5 * _MANY):
        buckets.take({("reads", str(n)): 60}, n / 100)

    assert len(buckets._full_at) <= _MANY + 1


def test_where_a_limit_is_0_there_is_none() -> None:
    limits = Limits(Most(0, 0, 0, 50, 0, 0))
    caller = Caller(account_id="a", key_id="k")
    request = Request({"type": "http", "method": "GET", "path": "/v1/bot/list", "headers": []})

    for _ in range(100_000):
        limits.take(caller, request)


def test_a_key_of_a_small_account_may_ask_once_a_minute_at_least() -> None:
    limits = Limits(Most(1, 1, 1, 50, 0, 0))
    caller = Caller(account_id="a", key_id="k")
    request = Request({"type": "http", "method": "GET", "path": "/v1/bot/list", "headers": []})

    limits.take(caller, request)
    with pytest.raises(LimitsReached):
        limits.take(caller, request)


async def test_events_beyond_what_may_wait_are_refused_leave_nothing_and_may_come_again(
    tenant: Tenant,
) -> None:
    trigger = await source(tenant.house, tenant.api, LONG, eventId={"pointer": "/id"})

    answers = [await trigger.send({"id": n}) for n in range(6)]

    assert [answer.status for answer in answers] in ([200] * 4 + [429] * 2, [200] * 3 + [429] * 3)
    refused(answers[-1], "HOLDFAST_WAITING_RUNS_PER_ACCOUNT", "3")
    rows = await tenant.house.rows("SELECT id FROM trigger_event WHERE trigger_id = $1", trigger.id)
    assert len(rows) == sum(answer.status == 200 for answer in answers)
    await tenant.api.ok(f"/v1/integration/trigger/{trigger.id}/delete")


async def test_a_trigger_has_its_part_of_what_its_account_may_start_in_a_minute(tenant: Tenant) -> None:
    trigger = await source(tenant.house, tenant.api, authenticate=False)
    part = STARTS // 2

    answer, _ = await exhausted(partial(trigger.send, query="?session=a%00"), part, 400)

    refused(answer, "HOLDFAST_KEY_PERCENT", str(part))
