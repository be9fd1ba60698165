"""The guide's worked examples and pitfalls, as far as they are about conversations."""

from __future__ import annotations

import pytest

from tests.http import inner, text_of
from tests.tenant import Tenant
from tests.triggers import over, source

SAY = "[model tokens=3]"


async def test_a_chat_widget_creates_a_conversation_and_then_completes_turn_after_turn(
    tenant: Tenant,
) -> None:
    api = tenant.api
    bot = (await api.ok("/v1/bot/create", {"backstory": f"Help visitors. {tenant.account}"}))["id"]
    visitor = {"fingerprint": "browser-1", "name": "A visitor"}
    conversation = await api.conversation(botId=bot, contactId=visitor, meta={"app": "widget"})

    for turn in range(3):
        events = await api.stream(f"/v1/conversation/{conversation}/complete", {"text": f"{turn} {SAY}"})
        assert [event["type"] for event in events].count("token") == 3
        assert text_of(events) == "t1 t2 t3"

    # Afterwards the support team finds it, with everything that was said and by whom.
    (found,) = (await api.get("/v1/conversation/list?meta.app=widget")).body["items"]
    assert (found["id"], found["botId"]) == (conversation, bot)
    assert (await api.get(f"/v1/contact/{found['contactId']}/fetch")).body["name"] == "A visitor"
    said = await api.messages(conversation)
    assert said == [line for turn in range(3) for line in (("user", f"{turn} {SAY}"), ("bot", "t1 t2 t3"))]
    calls = await tenant.house.calls(tenant.account)
    assert [len(call["prompts"]) for call in calls] == [2, 4, 6]


async def test_a_burst_of_messages_is_batched_before_the_agent_answers(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    url = f"/v1/conversation/{conversation}"
    for part in ("one", "two", f"three {SAY}"):
        await tenant.api.ok(f"{url}/send", {"text": part})

    answer = await tenant.api.ok(f"{url}/receive")

    assert answer["text"] == "t1 t2 t3"
    assert [kind for kind, _ in await tenant.api.messages(conversation)] == ["user"] * 3 + ["bot"]


async def test_a_message_may_be_moderated_between_send_and_receive(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    url = f"/v1/conversation/{conversation}"
    sent = await tenant.api.ok(f"{url}/send", {"text": "a rude word"})

    await tenant.api.ok(f"{url}/message/{sent['id']}/update", {"text": f"*** {tenant.account} {SAY}"})
    await tenant.api.ok(f"{url}/receive")

    (call,) = await tenant.house.calls(tenant.account)
    assert call["prompts"] == [f"*** {tenant.account} {SAY}"]


async def test_an_opening_message_needs_no_user(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation(backstory="Greet the visitor.")

    await tenant.api.ok(f"/v1/conversation/{conversation}/receive")

    assert [kind for kind, _ in await tenant.api.messages(conversation)] == ["bot"]


async def test_pitfall_a_stateless_completion_does_not_show_up_in_the_inbox(tenant: Tenant) -> None:
    contact = (await tenant.api.ok("/v1/contact/create"))["id"]

    await tenant.api.ok(
        "/v1/conversation/complete", {"messages": [{"type": "user", "text": SAY}], "contactId": contact}
    )

    assert (await tenant.api.get("/v1/conversation/list")).body["items"] == []
    assert (await tenant.api.get(f"/v1/conversation/list?contactId={contact}")).body["items"] == []


async def test_pitfall_a_dropped_connection_loses_nothing_here(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    ask = {"text": "[model tokens=30 delay=20]"}

    async with tenant.api.streaming(f"/v1/conversation/{conversation}/complete", ask) as events:
        seen = [await anext(events) for _ in range(5)]
    (run,) = (await tenant.api.get(f"/v1/run/list?conversationId={conversation}")).body["items"]
    rest = inner(
        await tenant.api.stream(f"/v1/channel/{run['channelId']}/subscribe", {"after": seen[-1]["seq"]})
    )

    assert text_of(seen + rest) == " ".join(f"t{n}" for n in range(1, 31))
    assert (await tenant.api.messages(conversation))[-1] == ("bot", text_of(seen + rest))


async def test_pitfall_a_dispatch_has_no_reply_in_its_answer(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()

    told = await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": SAY})

    assert told.keys() == {"channelId", "runId"}


@pytest.mark.parametrize("way", ["event", "invoke"])
async def test_a_trigger_is_answered_at_once_and_its_agent_works_by_itself(tenant: Tenant, way: str) -> None:
    trigger = await source(tenant.house, tenant.api, SAY)

    if way == "event":
        told = await trigger.ok({"document": "uploaded"})
    else:
        told = await tenant.api.ok(f"/v1/integration/trigger/{trigger.id}/invoke")

    assert "text" not in told
    run = await over(tenant.api, told["runId"])
    assert (await tenant.api.messages(run["conversationId"]))[-1] == ("bot", "t1 t2 t3")
