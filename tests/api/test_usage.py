"""Usage: what an account, a bot and a conversation used, whatever became of it since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from tests.api.test_streams import JSONL, jsonl
from tests.house import House, minute_lasts
from tests.http import Api
from tests.tenant import Tenant

NOTHING = {"datasets": 0, "records": 0, "skillsets": 0, "abilities": 0, "files": 0, "users": 0}
SAY = {"text": "[model tokens=5]"}


async def usage(api: Api, of: str = "", query: str = "") -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1{of}/usage/fetch{query}")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


async def complete(api: Api, conversation: str) -> int:
    """The tokens a turn says it used."""
    answer = await api.ok(f"/v1/conversation/{conversation}/complete", SAY)
    tokens: int = answer["usage"]["token"]
    return tokens


async def stateless(api: Api, **fields: Any) -> int:
    answer = await api.ok(
        "/v1/conversation/complete", {"messages": [{"type": "user", "text": "[model tokens=3]"}]} | fields
    )
    tokens: int = answer["usage"]["token"]
    return tokens


async def test_who_used_nothing_has_used_nothing(tenant: Tenant) -> None:
    empty = await usage(tenant.api)

    assert empty == {"tokens": 0, "conversations": 0, "messages": 0, "database": NOTHING}


async def test_usage_is_the_sum_of_what_the_answers_said(tenant: Tenant) -> None:
    await minute_lasts()
    api = tenant.api
    bot = (await api.ok("/v1/bot/create"))["id"]
    first, second = await api.conversation(botId=bot), await api.conversation()
    one = await complete(api, first)
    two = await complete(api, second) + await complete(api, second)
    free = await stateless(api, botId=bot)

    assert await usage(api, f"/conversation/{first}") == {"tokens": one, "messages": 2}
    assert await usage(api, f"/conversation/{second}") == {"tokens": two, "messages": 4}
    assert await usage(api, f"/bot/{bot}") == {"tokens": one + free, "conversations": 1, "messages": 2}
    assert await usage(api) == {
        "tokens": one + two + free,
        "conversations": 2,
        "messages": 6,
        "database": NOTHING,
    }


async def test_messages_are_counted_however_they_came(tenant: Tenant) -> None:
    await minute_lasts()
    api = tenant.api
    given = [{"type": "backstory", "text": "b"}, {"type": "user", "text": "hi"}]
    conversation = await api.conversation(messages=given)
    path = f"/v1/conversation/{conversation}"
    await api.ok(f"{path}/send", {"text": "hello"})
    await api.ok(f"{path}/message/create", {"type": "context", "text": "c"})
    await api.ok(f"{path}/receive")
    await api.ok(f"{path}/complete", SAY)

    listed = await api.messages(conversation)

    assert (await usage(api, f"/conversation/{conversation}"))["messages"] == len(listed) == 7
    assert (await usage(api))["messages"] == 7


async def test_a_call_repeated_under_its_key_is_counted_once(tenant: Tenant) -> None:
    await minute_lasts()
    conversation = await tenant.api.conversation()
    for _ in range(3):
        await tenant.api.ok("/v1/conversation/create", {}, **{"Idempotency-Key": "k"})
        await tenant.api.ok(
            f"/v1/conversation/{conversation}/send", {"text": "x"}, **{"Idempotency-Key": "k"}
        )
        await tenant.api.ok(f"/v1/conversation/{conversation}/complete", SAY, **{"Idempotency-Key": "l"})

    used = await usage(tenant.api)

    assert (used["conversations"], used["messages"]) == (2, 3)
    assert used["tokens"] == (await usage(tenant.api, f"/conversation/{conversation}"))["tokens"] > 0


async def test_what_is_deleted_has_been_used_all_the_same(tenant: Tenant) -> None:
    await minute_lasts()
    api = tenant.api
    bot = (await api.ok("/v1/bot/create"))["id"]
    kept, gone = await api.conversation(botId=bot), await api.conversation(botId=bot)
    for conversation in (kept, gone):
        await complete(api, conversation)
    message = (await api.ok(f"/v1/conversation/{kept}/send", {"text": "x"}))["id"]
    before = await usage(api)
    of_bot = await usage(api, f"/bot/{bot}")
    series = (await api.get("/v1/usage/series/fetch")).body

    await api.ok(f"/v1/conversation/{kept}/message/{message}/delete")
    await api.ok(f"/v1/conversation/{gone}/delete")
    after = await usage(api)
    of_bot_after = await usage(api, f"/bot/{bot}")
    await api.ok(f"/v1/bot/{bot}/delete")

    assert before == after == await usage(api)
    assert of_bot == of_bot_after == {name: before[name] for name in of_bot}
    assert (await api.get("/v1/usage/series/fetch")).body == series
    assert (await api.get(f"/v1/conversation/{gone}/usage/fetch")).status == 404
    assert (await api.get(f"/v1/bot/{bot}/usage/fetch")).status == 404


async def test_a_failed_and_a_cancelled_turn_count_the_messages_they_left(tenant: Tenant) -> None:
    api = tenant.api
    conversation = await api.conversation()
    path = f"/v1/conversation/{conversation}"
    await api.post(f"{path}/complete", {"text": "[model status=400]"})
    run = (await api.ok(f"{path}/dispatch", {"text": "[model endless=1]"}))["runId"]
    waiting = (await api.ok(f"{path}/dispatch", {"text": "waits"}))["runId"]
    async with api.streaming(f"/v1/run/{run}/subscribe") as events:
        async for event in events:
            if event["data"]["type"] == "token":
                break
    for one in (waiting, run):
        await api.ok(f"/v1/run/{one}/cancel")

    listed = await api.messages(conversation)

    assert await usage(api, f"/conversation/{conversation}") == {"tokens": 0, "messages": len(listed)}
    assert [kind for kind, _ in listed] == ["user", "user", "bot"]


async def test_usage_equals_the_sum_of_the_runs(tenant: Tenant) -> None:
    await minute_lasts()
    api = tenant.api
    conversation = await api.conversation()
    for text in ("[model tokens=4]", "[model status=400]", "[model tokens=2]"):
        await api.post(f"/v1/conversation/{conversation}/complete", {"text": text})
    await stateless(api)

    runs = (await api.get("/v1/run/list")).body["items"]

    assert len(runs) == 4
    assert (await usage(api))["tokens"] == sum(run["usage"]["token"] for run in runs) > 0
    (steps,) = await tenant.house.rows(
        "SELECT sum(s.input_tokens + s.output_tokens)::int FROM step s JOIN run r ON r.id = s.run_id"
        " WHERE r.account_id = $1",
        tenant.account,
    )
    assert (await usage(api))["tokens"] == steps[0]


@pytest.mark.parametrize("of", ["conversation", "bot"])
async def test_a_period_has_its_beginning_and_not_its_end(tenant: Tenant, of: str) -> None:
    api = tenant.api
    bot = (await api.ok("/v1/bot/create"))["id"]
    conversation = await api.conversation(botId=bot)
    await complete(api, conversation)
    place = f"/{of}/{bot if of == 'bot' else conversation}"
    (run,) = await tenant.house.rows("SELECT ended_at FROM run WHERE account_id = $1", tenant.account)
    at = run["ended_at"]
    whole, later = await usage(api, place), at + timedelta(microseconds=1)

    def stamp(moment: datetime) -> str:
        return moment.isoformat().replace("+", "%2B")

    begun_before = {"conversations": 0} if of == "bot" else {}
    assert await usage(api, place, f"?from={stamp(at)}") == whole | begun_before
    assert (await usage(api, place, f"?to={stamp(at)}"))["tokens"] == 0
    assert (await usage(api, place, f"?from={stamp(at)}&to={stamp(later)}"))["tokens"] == whole["tokens"]
    assert (await usage(api, place, f"?from={stamp(later)}"))["tokens"] == 0


async def test_a_moment_is_epoch_milliseconds_or_iso_8601(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    tokens = await complete(tenant.api, conversation)
    now = datetime.now(UTC)
    before, after = now - timedelta(days=1), now + timedelta(days=1)

    for begin, end in (
        (str(int(before.timestamp() * 1000)), str(int(after.timestamp() * 1000))),
        (f"{before:%Y-%m-%d}", f"{after:%Y-%m-%d}"),
        (f"{before:%Y-%m-%dT%H:%M:%S}Z", f"{after:%Y-%m-%dT%H:%M:%S.000}Z"),
        (f"{before:%Y-%m-%dT%H:%M}", f"{after:%Y-%m-%dT%H:%M}%2B01:00"),
        ("", ""),
    ):
        query = f"?from={begin}&to={end}"
        assert (await usage(tenant.api, f"/conversation/{conversation}", query))["tokens"] == tokens, query


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=-1",
        "from=1.5",
        "from=2026-13-01",
        "from=2026-01-01T00:00:00+01:00",
        "to=99999999999999999999",
        "to=" + "9" * 5000,
        "from=0001-01-01T00:00:00%2B14:00",
        "from=2026-02-01&to=2026-01-01",
        "since=1",
        "take=1",
        "meta.a=b",
        "from=%00",
    ],
)
async def test_a_period_that_cannot_be_read_is_refused(tenant: Tenant, query: str) -> None:
    conversation = await tenant.api.conversation()

    status, body, _ = await tenant.api.get(f"/v1/conversation/{conversation}/usage/fetch?{query}")

    assert (status, body["code"]) == (400, "BAD_REQUEST")


async def test_the_account_is_counted_from_the_first_of_the_month(tenant: Tenant) -> None:
    await minute_lasts()
    conversation = await tenant.api.conversation()
    await complete(tenant.api, conversation)
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for table, at in (("run", "ended_at"), ("usage", "at")):
        await tenant.house.rows(
            f"UPDATE {table} SET {at} = $2 WHERE account_id = $1",  # noqa: S608 our own names
            tenant.account,
            month - timedelta(milliseconds=1),
        )

    assert await usage(tenant.api) == {"tokens": 0, "conversations": 0, "messages": 0, "database": NOTHING}
    assert (await usage(tenant.api, f"/conversation/{conversation}"))["tokens"] > 0


async def test_the_series_has_each_of_ninety_days_the_last_one_today(tenant: Tenant) -> None:
    await minute_lasts()
    conversation = await tenant.api.conversation()
    tokens = await complete(tenant.api, conversation)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    series = (await tenant.api.get("/v1/usage/series/fetch")).body

    days = [int((today - timedelta(days=ago)).timestamp() * 1000) for ago in range(89, -1, -1)]
    assert series.keys() == {"tokens", "conversations", "messages"}
    for name, total in (("tokens", tokens), ("conversations", 1), ("messages", 2)):
        assert [point["date"] for point in series[name]] == days
        assert [point["total"] for point in series[name]] == [0] * 89 + [total]


async def test_the_list_has_what_each_run_used(tenant: Tenant) -> None:
    api = tenant.api
    bot, contact = (await api.ok("/v1/bot/create"))["id"], (await api.ok("/v1/contact/create"))["id"]
    conversation = await api.conversation(botId=bot, contactId=contact)
    path = f"/v1/conversation/{conversation}"
    answer = await api.ok(f"{path}/complete", SAY)
    await api.post(f"{path}/complete", {"text": "[model status=400]"})
    told = await api.ok(f"{path}/dispatch", SAY)
    await api.stream(f"/v1/run/{told['runId']}/subscribe")
    await stateless(api)

    page = (await api.get("/v1/usage/list")).body
    _, lines, _ = await api.raw("GET", "/v1/usage/list?order=asc", **JSONL)
    free, dispatched, completed = page["items"]

    assert completed == {
        "id": answer["runId"],
        "type": "conversation/complete",
        "count": answer["usage"]["token"],
        "conversationId": conversation,
        "messageId": answer["id"],
        "contactId": contact,
        "botId": bot,
        "createdAt": completed["createdAt"],
        "updatedAt": completed["updatedAt"],
    }
    assert (dispatched["id"], dispatched["type"]) == (told["runId"], "conversation/dispatch")
    assert free.keys() == {"id", "type", "count", "createdAt", "updatedAt"}
    assert page["cursor"] == completed["id"]
    assert [event["data"] for event in jsonl(lines)] == page["items"][::-1]
    assert sum(item["count"] for item in page["items"]) == (await usage(api))["tokens"]
    for query, found in {
        "type=conversation/dispatch": [dispatched],
        f"botId={bot}": [dispatched, completed],
        f"contactId={contact}&take=1": [dispatched],
        f"conversationId={conversation}&cursor={dispatched['id']}": [completed],
        f"messageId={answer['id']}": [completed],
        "meta.a=b": [],
        f"botId={ids.bot()}": [],
    }.items():
        assert (await api.get(f"/v1/usage/list?{query}")).body["items"] == found, query


@pytest.mark.parametrize("name", ["blueprintId", "datasetId", "skillsetId", "abilityId"])
async def test_a_filter_of_what_is_not_served_yet_says_so(api: Api, name: str) -> None:
    status, body, _ = await api.get(f"/v1/usage/list?{name}=x")

    assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")


async def test_another_accounts_usage_is_not_ones_own(house: House, tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    await complete(tenant.api, conversation)
    _, key = await house.new_account("stranger")

    async with house.api(key=key) as stranger:
        assert (await usage(stranger))["tokens"] == 0
        assert (await stranger.get("/v1/usage/list")).body["items"] == []
        assert {
            point["total"] for point in (await stranger.get("/v1/usage/series/fetch")).body["tokens"]
        } == {0}
