"""The events of a trigger as its operator sees them: listed, looked at, set going again; calls by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain import ids
from tests.api.test_agent import activities, stored
from tests.house import House, eventually
from tests.http import Api
from tests.tenant import Tenant
from tests.triggers import Source, over, source

JSON = dict[str, Any]
WAITS = "[model calls=1 tool=_delay args=seconds:600]"


def of(trigger: Source, rest: str) -> str:
    return f"/v1/integration/trigger/{trigger.id}/{rest}"


async def fetched(api: Api, trigger: Source, event: str) -> JSON:
    return dict((await api.get(of(trigger, f"event/{event}/fetch"))).body)


async def listed(api: Api, trigger: Source, query: str = "") -> list[JSON]:
    return list((await api.get(of(trigger, f"event/list{query}"))).body["items"])


async def test_an_event_is_shown_with_all_that_came_and_nothing_that_opens_a_door(
    house: House, api: Api
) -> None:
    trigger = await source(house, api, eventId={"header": "X-Id"}, orderingKey={"header": "X-Order"})

    told = await trigger.ok(
        {"a": 1},
        "?session=a&why=b",
        **{"X-Id": "e1", "X-Order": "7", "Cookie": "c=1", "X-Github-Event": "push", "X-Api-Key": "k"},
    )
    event = await fetched(api, trigger, told["eventId"])

    assert (event["id"], event["triggerId"], event["runId"]) == (told["eventId"], trigger.id, told["runId"])
    assert (event["source"], event["method"], event["verified"]) == ("event", "POST", "secret")
    assert (event["providerId"], event["orderingKey"], event["address"]) == ("e1", "7", "127.0.0.1")
    assert (event["body"], event["size"], event["kept"]) == ('{"a": 1}', 8, True)
    assert event["query"] == {"session": "a", "why": "b"}
    assert {*event["headers"]} == {"content-type", "user-agent", "x-github-event", "x-id", "x-order"}
    assert trigger.secret not in json.dumps(event)
    run = await over(api, told["runId"])
    assert (await fetched(api, trigger, event["id"]))["conversationId"] == run["conversationId"]


async def test_events_are_listed_by_page_state_and_time(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})
    told = [await trigger.ok({"id": n}) for n in range(3)]
    for one in told:
        await over(api, one["runId"])
    await trigger.send({"id": 0, "other": True})

    everything = await listed(api, trigger)
    (last,) = await listed(api, trigger, "?take=1")
    rest = await listed(api, trigger, f"?cursor={last['id']}")
    oldest = await listed(api, trigger, "?order=asc&take=1")
    times = [event["createdAt"] for event in everything]

    assert [event["state"] for event in everything] == ["refused", *["succeeded"] * 3]
    assert [event["id"] for event in everything[1:]] == [one["eventId"] for one in reversed(told)]
    assert ([last["id"]], [event["id"] for event in rest]) == (
        [everything[0]["id"]],
        [event["id"] for event in everything[1:]],
    )
    assert oldest[0]["id"] == told[0]["eventId"]
    assert [event["state"] for event in await listed(api, trigger, "?state=refused,failed")] == ["refused"]
    assert await listed(api, trigger, f"?from={times[0] + 1}") == []
    assert len(await listed(api, trigger, f"?to={times[0] + 1}")) == 4
    assert not {"body", "headers", "query"} & {*everything[0]}


@pytest.mark.parametrize("query", ["?state=lost", "?from=x", "?to=-1", "?other=1"])
async def test_a_filter_of_events_that_there_is_not_is_refused(house: House, api: Api, query: str) -> None:
    trigger = await source(house, api)

    assert (await api.get(of(trigger, f"event/list{query}"))).status == 400


async def test_an_event_that_is_repeated_is_another_one_with_a_run_of_its_own(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})
    first = await trigger.ok({"id": "e1"}, "?session=a")
    run = await over(api, first["runId"])

    again = await api.ok(of(trigger, f"event/{first['eventId']}/replay"))
    second = await over(api, again["runId"])

    assert (again["id"], again["eventId"] != first["eventId"]) == (trigger.id, True)
    assert second["conversationId"] == run["conversationId"]
    event = await fetched(api, trigger, again["eventId"])
    assert (event["source"], event["replayOf"], event["body"]) == ("replay", first["eventId"], '{"id": "e1"}')
    told = activities(await stored(api, run["conversationId"]))
    assert [
        one["eventId"] for kind, name, one in told if (kind, name) == ("response", "_getIncomingEvent")
    ] == [
        first["eventId"],
        again["eventId"],
    ]
    assert (await trigger.ok({"id": "e1"}, "?session=a")) == first | {"duplicate": True}


async def test_a_refused_event_can_be_set_going_by_its_operator(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})
    await trigger.ok({"id": "e1"})
    await trigger.send({"id": "e1", "other": True})
    (refused,) = await listed(api, trigger, "?state=refused")

    again = await api.ok(of(trigger, f"event/{refused['id']}/replay"))

    assert (await over(api, again["runId"]))["outcome"] == "success"


async def test_the_same_key_repeats_an_event_once(house: House, api: Api) -> None:
    trigger = await source(house, api)
    first, key = await trigger.ok(), ids.new("key")

    path = of(trigger, f"event/{first['eventId']}/replay")
    told = [await api.ok(path, **{"Idempotency-Key": key}) for _ in range(2)]

    assert told[0] == told[1]
    assert len(await listed(api, trigger)) == 2


async def test_an_event_whose_body_is_gone_is_not_repeated(house: House, api: Api) -> None:
    trigger = await source(house, api)
    told = await trigger.ok()
    run = await over(api, told["runId"])
    await api.ok(f"/v1/conversation/{run['conversationId']}/delete")

    answer = await api.post(of(trigger, f"event/{told['eventId']}/replay"))

    assert (answer.status, answer.body["code"]) == (409, "CONFLICT")


async def test_a_repetition_is_in_the_audit_log(house: House, api: Api) -> None:
    trigger = await source(house, api)
    first = await trigger.ok()

    again = await api.ok(of(trigger, f"event/{first['eventId']}/replay"))

    query = f"/v1/event/log/list?type=trigger.replay&triggerIntegrationId={trigger.id}"
    (entry,) = (await api.get(query)).body["items"]
    assert (entry["eventId"], entry["runId"]) == (first["eventId"], again["runId"])


async def test_a_trigger_is_set_off_by_hand_with_a_body_that_says_so(house: House, api: Api) -> None:
    trigger = await source(house, api)

    told = [await api.ok(of(trigger, "invoke")) for _ in range(2)]
    runs = [await over(api, one["runId"]) for one in told]
    from_outside = await over(api, (await trigger.ok({}, "?session=never"))["runId"])

    event = await fetched(api, trigger, told[0]["eventId"])
    assert (told[0]["id"], event["source"]) == (trigger.id, "invoke")
    assert json.loads(event["body"]) == {"type": "invoke", "manual": True}
    assert runs[0]["conversationId"] == runs[1]["conversationId"] != from_outside["conversationId"]
    assert [run["lane"] for run in runs] == ["background", "background"]


async def test_the_same_key_sets_a_trigger_off_once(house: House, api: Api) -> None:
    trigger, key = await source(house, api), ids.new("key")

    told = [await api.ok(of(trigger, "invoke"), **{"Idempotency-Key": key}) for _ in range(2)]

    assert told[0] == told[1]
    assert len(await listed(api, trigger)) == 1


async def test_events_of_another_account_are_as_unknown_as_any(
    house: House, api: Api, tenant: Tenant
) -> None:
    trigger = await source(house, api)
    told = await trigger.ok()
    another = await source(house, api)

    for path in ("event/list", f"event/{told['eventId']}/fetch"):
        assert (await tenant.api.get(of(trigger, path))).status == 404
    for path in ("invoke", f"event/{told['eventId']}/replay"):
        assert (await tenant.api.post(of(trigger, path))).status == 404
    assert (await api.get(of(another, f"event/{told['eventId']}/fetch"))).status == 404


async def test_a_trigger_that_is_deleted_ends_its_runs_and_takes_its_events_along(
    house: House, api: Api
) -> None:
    trigger = await source(house, api, WAITS)
    told = await trigger.ok()

    async def waits() -> None:
        assert (await api.get(f"/v1/run/{told['runId']}/fetch")).body.get("parkedAt")

    await eventually(waits)
    await api.ok(of(trigger, "delete"))

    assert (await over(api, told["runId"]))["state"] == "canceled"
    assert (await trigger.send()).status == 404
    rows = await house.rows("SELECT id FROM trigger_event WHERE trigger_id = $1", trigger.id)
    assert rows == []
