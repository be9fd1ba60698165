"""The official Node client, unchanged, through every operation that it has and we serve, and its repeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain import ids
from tests.api.test_foreign import ABILITY
from tests.house import House, eventually
from tests.tenant import Tenant
from tests.triggers import DONE
from tests.wire.forgetful import losing
from tests.wire.node_client import FetchError, Node

ASK = {"text": "[model tokens=3 reasoning=1]"}
NOUNS = ["bot", "contact", "conversation", "skillset", "secret", "task", "integration.trigger"]
STATELESS = {"messages": [{"type": "user", "text": "[model tokens=3 reasoning=1]"}]}


@pytest.fixture
async def node(house: House) -> AsyncIterator[Node]:
    async with Node(house.api().url, house.key) as client:
        yield client


@pytest.fixture
async def conversation(node: Node) -> str:
    made = await node("conversation.create", {"name": "from the client"})
    return str(made["id"])


def kinds(items: list[dict[str, Any]]) -> list[str]:
    return [item["type"] for item in items]


@pytest.mark.parametrize(
    "noun", ["bot", "contact", "conversation", "skillset", "secret", "task", "integration.trigger"]
)
async def test_it_makes_reads_changes_lists_and_removes(node: Node, noun: str) -> None:
    mark = ids.new("mark")
    made = await node(f"{noun}.create", {"name": "one", "description": "d", "meta": {"wire": mark}})
    changed = await node(f"{noun}.update", made["id"], {"name": "two", "meta": {"more": True}})
    found = await node(f"{noun}.fetch", made["id"])
    page = await node(f"{noun}.list", {"take": 1, "order": "desc", "meta": {"wire": mark}})
    streamed = await node.stream(f"{noun}.list", {"meta": {"wire": mark}})
    nothing = await node(f"{noun}.list", {"meta": {"wire": "nothing at all"}})
    removed = await node(f"{noun}.delete", made["id"])

    assert changed["id"] == removed["id"] == found["id"] == made["id"]
    assert (found["name"], found["description"]) == ("two", "d")
    assert found["meta"] == {"wire": mark, "more": True}
    assert [item["id"] for item in page["items"]] == [made["id"]] == [page["cursor"]]
    assert [item["data"]["id"] for item in streamed] == [made["id"]]
    assert nothing == {"items": [], "cursor": ""}


async def test_it_makes_and_reads_what_has_a_delivery(node: Node) -> None:
    hook = {"webhook": {"url": "https://receiver.invalid/", "events": ["failed"]}}

    made = await node("task.create", {"delivery": hook})
    found = await node("task.fetch", made["id"])
    page = await node("task.list", {"take": 1})
    await node("task.update", made["id"], {"delivery": None})
    bare = await node("task.fetch", made["id"])

    assert hook["webhook"].items() <= found["delivery"]["webhook"].items()
    assert found["delivery"]["webhook"]["secret"].startswith("whsec_")
    assert [item["id"] for item in page["items"]] == [made["id"]]
    assert "secret" not in page["items"][0]["delivery"]["webhook"]
    assert "delivery" not in bare


async def test_it_says_when_a_task_is_due_stops_it_and_lists_those_of_a_contact(node: Node) -> None:
    bot, contact = await node("bot.create", {}), await node("contact.create", {})
    said: dict[str, Any] = {"schedule": "0 7 * * 1-5", "timezone": "Europe/London", "sessionDuration": 0}
    said |= {"maxIterations": 20, "maxTime": 1_000_000, "botId": bot["id"], "contactId": contact["id"]}

    made = await node("task.create", said)
    found = await node("task.fetch", made["id"])
    page = await node("task.list", {"botId": bot["id"], "status": "idle"})
    theirs = await node("contact.task.list", contact["id"], {"take": 1})
    exported = await node.stream("task.export", {"take": 1})
    stopped = await node("task.cancel", made["id"])
    linked = await node("conversation.create", {"taskId": made["id"]})
    listed = await node("conversation.list", {"taskId": made["id"]})

    assert said.items() <= found.items()
    assert (found["status"], found["outcome"]) == ("idle", "pending")
    assert found["nextRunAt"] > found["createdAt"]
    assert page["items"] == theirs["items"] == [found] == [item["data"] for item in exported]
    assert stopped == made
    assert [item["id"] for item in listed["items"]] == [linked["id"]]


async def test_it_makes_a_trigger_with_a_schedule_and_a_secret_and_sets_it_off(node: Node) -> None:
    bot = (await node("bot.create", {}))["id"]
    said = {"botId": bot, "authenticate": False, "schedule": "0 7 * * 1-5", "timezone": "Europe/London"}
    said |= {"sessionDuration": 60_000, "description": DONE}

    made = (await node("integration.trigger.create", said))["id"]
    found = await node("integration.trigger.fetch", made)
    setup = await node("integration.trigger.setup", made, {})
    invoked = await node("integration.trigger.invoke", made, {})

    async def ended() -> None:
        log = await node("event.log.list", {"take": 50})
        kinds = {one["type"] for one in log["items"] if one.get("triggerIntegrationId") == made}
        assert "run.succeeded" in kinds

    await eventually(ended)
    page = await node("integration.trigger.list", {"take": 1})
    removed = await node("integration.trigger.delete", made)

    assert said.items() <= found.items()
    assert len(found["secret"]) == 64
    assert found["nextTriggerAt"] > found["createdAt"]
    assert invoked["id"] == made
    assert invoked.keys() == {"id", "eventId", "runId"}
    assert setup == removed == {"id": made}
    assert page["items"][0]["lastTriggerAt"] >= found["createdAt"]


async def test_it_runs_a_task_by_hand_hears_it_and_stops_its_runs(node: Node) -> None:
    said = {"description": "[model calls=1 tool=_success args=summary:sent]", "sessionDuration": 0}
    task = (await node("task.create", said))["id"]

    async def newest(status: str, outcome: str) -> dict[str, Any]:
        first = dict((await node("task.execution.list", task, {"take": 1}))["items"][0])
        assert (first["status"], first["outcome"]) == (status, outcome)
        return first

    triggered = await node("task.trigger", task)
    heard = await node.stream("task.subscribe", task, {"historyLength": 2}, take=2)
    sent = await eventually(lambda: newest("idle", "success"))
    await node("task.update", task, {"description": "[model tokens=1000 delay=50]"})
    one = await node("task.trigger", task)
    await eventually(lambda: newest("running", "pending"))
    skipped = await node("task.trigger", task)
    stopped = await node("task.execution.cancel", task, one["executionId"])
    await newest("canceled", "failure")
    other = await node("task.trigger", task)
    canceled = await node("task.cancel", task)
    listed = await node.stream("task.execution.list", task, {"order": "asc"})

    assert triggered == {"id": task, "executionId": sent["id"], "state": "started"}
    assert kinds(heard) == ["operationBegin", "operationEnd"]
    assert {item["data"]["action"]["name"] for item in heard} == {"_success"}
    assert sent["summary"] == "sent"
    assert skipped == {"id": task, "state": "skipped"}
    assert stopped == {"id": one["executionId"], "taskId": task}
    assert canceled == {"id": task}
    assert [(item["data"]["id"], item["data"]["status"]) for item in listed] == [
        *((sent["id"], "idle"), (one["executionId"], "canceled")),
        (other["executionId"], "canceled"),
    ]


async def test_it_reads_the_usage_of_the_account(node: Node, conversation: str) -> None:
    answer = await node("conversation.complete", conversation, ASK)

    used, series = await node("usage.fetch"), await node("usage.series.fetch")

    assert used["tokens"] >= answer["usage"]["token"]
    assert used["database"].keys() == {"datasets", "records", "skillsets", "abilities", "files", "users"}
    assert [len(series[name]) for name in ("tokens", "conversations", "messages")] == [90, 90, 90]


async def test_it_names_a_bot_by_its_alias(node: Node) -> None:
    alias = ids.new("desk")
    bot = await node("bot.create", {"alias": alias})

    made = await node("conversation.create", {"botId": f"@{alias}"})

    assert (await node("bot.fetch", f"@{alias}"))["id"] == bot["id"]
    assert (await node("conversation.fetch", made["id"]))["botId"] == bot["id"]


async def test_it_keeps_and_verifies_a_secret_whose_value_it_does_not_see_again(node: Node) -> None:
    made = await node("secret.create", {"type": "bearer"})
    before = await node("secret.verify", made["id"])
    await node("secret.update", made["id"], {"value": "canary"})
    after = await node("secret.verify", made["id"])
    found = await node("secret.fetch", made["id"])

    assert before == {"id": made["id"], "status": "unauthenticated"}
    assert after == {"id": made["id"], "status": "authenticated"}
    assert (found["kind"], found["type"]) == ("shared", "bearer")
    assert "canary" not in str(found)


async def test_it_ensures_a_contact(node: Node) -> None:
    full = {"fingerprint": ids.new("f"), "email": "a@b.c", "phone": "1", "nick": "n", "preferences": "p"}

    one = await node("contact.ensure", full | {"verifiedAt": 1_767_225_600_000})
    other = await node("contact.ensure", full | {"name": "unchanged"})
    found = await node("contact.fetch", one["id"])

    assert one == other
    assert full.items() <= found.items()
    assert found["verifiedAt"] == 1_767_225_600_000


async def test_it_keeps_the_abilities_of_a_skillset(node: Node) -> None:
    secret = (await node("secret.create", {}))["id"]
    skillset = (await node("skillset.create", {"name": "s"}))["id"]
    made = await node("skillset.ability.create", skillset, ABILITY | {"secretId": secret})
    await node("skillset.ability.update", skillset, made["id"], {"name": "two"})
    found = await node("skillset.ability.fetch", skillset, made["id"])
    page = await node("skillset.ability.list", skillset, {"take": 1})
    listed = await node.stream("skillset.ability.list", skillset)
    exported = await node("skillset.ability.export", skillset)
    lines = await node.stream("skillset.ability.export", skillset)
    removed = await node("skillset.ability.delete", skillset, made["id"])

    assert (ABILITY | {"name": "two", "secretId": secret}).items() <= found.items()
    assert page["items"] == exported["items"] == [found]
    assert [item["data"] for item in listed + lines] == [found, found]
    assert removed == made


async def test_it_calls_an_ability(node: Node) -> None:
    skillset = (await node("skillset.create", {}))["id"]
    hello = {"name": "hello", "description": "d", "instruction": "```prompt\nHello {word: string}.\n```"}
    ability = (await node("skillset.ability.create", skillset, hello))["id"]

    answer = await node("skillset.ability.execute", skillset, ability, {"input": "you"})

    assert (answer["result"], answer["usage"]) == ("Hello you.", {"token": 0})


async def test_it_gives_a_bot_and_a_conversation_their_skillset(node: Node) -> None:
    alias = ids.new("tools")
    skillset = (await node("skillset.create", {"alias": alias}))["id"]
    named = {"skillsetId": f"@{alias}"}

    bot, made = await node("bot.create", named), await node("conversation.create", named)
    answer = await node("conversation.complete", None, STATELESS | named)

    assert (await node("bot.fetch", bot["id"]))["skillsetId"] == skillset
    assert (await node("conversation.fetch", made["id"]))["skillsetId"] == skillset
    assert answer["text"] == "t1 t2 t3"


async def test_it_votes_and_lists_the_conversations_of_a_contact(node: Node) -> None:
    bot, contact = await node("bot.create", {}), await node("contact.create", {})
    conversation = await node("conversation.create", {"botId": bot["id"], "contactId": contact["id"]})
    message = await node("conversation.message.create", conversation["id"], {"type": "user", "text": "x"})
    vote = {"value": 5, "reason": "r"}

    up = [
        await node("bot.upvote", bot["id"], vote),
        await node("conversation.upvote", conversation["id"], vote),
        await node("conversation.message.upvote", conversation["id"], message["id"], vote),
    ]
    down = [
        await node("bot.downvote", bot["id"], {}),
        await node("conversation.downvote", conversation["id"], {}),
        await node("conversation.message.downvote", conversation["id"], message["id"], {}),
    ]
    page = await node("contact.conversation.list", contact["id"], {"take": 1})

    assert (
        [told["id"] for told in up]
        == [bot["id"], conversation["id"], message["id"]]
        == [told["id"] for told in down]
    )
    assert [item["id"] for item in page["items"]] == [conversation["id"]]


async def test_it_exports_the_event_log(node: Node, conversation: str) -> None:
    page = await node("event.log.export", {"take": 1})
    streamed = await node.stream("event.log.export", {"take": 1})

    assert page["items"][0]["conversationId"] == conversation
    assert [item["data"] for item in streamed] == page["items"]


async def test_it_completes_statelessly_at_once_and_streamed(node: Node) -> None:
    answer = await node("conversation.complete", None, STATELESS)
    items = await node.stream("conversation.complete", None, STATELESS)

    assert (answer["text"], answer["end"]) == ("t1 t2 t3", {"reason": "stop"})
    assert answer["usage"]["token"] > 0
    assert "".join(item["data"]["token"] for item in items if item["type"] == "token") == "t1 t2 t3"
    assert (items[-1]["type"], items[-1]["data"]["text"]) == ("result", "t1 t2 t3")


async def test_it_completes_a_turn_at_once_and_streamed(node: Node, conversation: str) -> None:
    answer = await node("conversation.complete", conversation, ASK)
    items = await node.stream("conversation.complete", conversation, ASK)

    assert answer["id"].startswith("msg_")
    assert (answer["text"], answer["end"]) == ("t1 t2 t3", {"reason": "stop"})
    assert {*kinds(items)} == {
        "completeBegin",
        "reasoningToken",
        "token",
        "message",
        "usage",
        "completeEnd",
        "result",
    }
    assert items[-1]["data"]["id"].startswith("msg_")


async def test_a_model_given_as_an_object_is_understood(node: Node) -> None:
    model = {"name": "gpt-5", "config": {"temperature": 0.2, "maxTokens": 100}}

    bot = await node("bot.create", {"model": model})

    assert (await node("bot.fetch", bot["id"]))["model"] == "gpt-5/temperature=0.2/maxTokens=100"


async def test_it_sends_and_receives_at_once_and_streamed(node: Node, conversation: str) -> None:
    sent = await node("conversation.send", conversation, {"text": "[model tokens=2]"})
    received = await node("conversation.receive", conversation, {})
    sent_streamed = await node.stream("conversation.send", conversation, {"text": "[model tokens=1]"})
    received_streamed = await node.stream("conversation.receive", conversation, {})

    assert (sent["id"][:4], sent["entities"]) == ("msg_", [])
    assert (received["text"], received["usage"]["token"] > 0) == ("t1 t2", True)
    assert kinds(sent_streamed) == ["result"]
    assert received_streamed[-1]["data"]["text"] == "t1"


@pytest.mark.parametrize("stateless", [True, False], ids=["stateless", "stateful"])
async def test_it_dispatches_and_subscribes(node: Node, conversation: str, stateless: bool) -> None:
    ask = STATELESS if stateless else ASK
    told = await node("conversation.dispatch", None if stateless else conversation, ask)

    items = await node.stream("channel.subscribe", told["channelId"])
    newest = await node.stream("channel.subscribe", told["channelId"], {"historyLength": 1})

    inner = [item["data"] for item in items]
    assert (inner[-1]["type"], inner[-1]["data"]["text"]) == ("result", "t1 t2 t3")
    assert [item["data"] for item in newest] == inner[-1:]


async def test_it_publishes_and_hears_what_it_published(node: Node) -> None:
    channel = ids.channel()

    told = await node("channel.publish", channel, {"message": {"n": 1}})
    first = await node.stream("channel.subscribe", channel, take=1)

    assert told["id"] == channel
    assert first[0]["data"] == {"n": 1}


async def test_it_keeps_the_messages_of_a_conversation(node: Node, conversation: str) -> None:
    made = await node("conversation.message.create", conversation, {"type": "user", "text": "one"})
    await node("conversation.message.update", conversation, made["id"], {"text": "two"})
    found = await node("conversation.message.fetch", conversation, made["id"])
    page = await node("conversation.message.list", conversation)
    streamed = await node.stream("conversation.message.list", conversation, {"order": "asc"})
    removed = await node("conversation.message.delete", conversation, made["id"])

    assert found["text"] == "two"
    assert [item["id"] for item in page["items"]] == [made["id"]] == [page["cursor"]]
    assert [item["data"]["text"] for item in streamed] == ["two"]
    assert removed["id"] == made["id"]


async def test_it_lists_the_models(node: Node) -> None:
    page = await node("platform.model.list", {"take": 2})
    items = await node.stream("platform.model.list")

    assert len(page["items"]) == 2
    assert len(items) > 2


async def test_it_lists_and_follows_the_event_log(node: Node, conversation: str) -> None:
    page = await node("event.log.list", {"take": 1})
    following = asyncio.create_task(node.stream("event.log.subscribe", {"historyLength": 1}, take=2))

    async def heard() -> None:
        await node("conversation.update", conversation, {"name": "again"})
        assert following.done()

    await eventually(heard)
    items = await following

    assert page["items"][0]["type"]
    assert kinds(items) == ["item", "item"]


async def test_a_session_it_made_speaks_for_one_conversation_and_no_other(
    house: House, node: Node, conversation: str
) -> None:
    other = await node("conversation.create", {})
    made = await node("conversation.session.create", conversation, {"durationInSeconds": 1800})

    async with Node(house.api().url, made["token"]) as page:
        items = await page.stream("conversation.complete", conversation, ASK)
        messages = await page("conversation.message.list", conversation)
        with pytest.raises(FetchError) as told:
            await page("conversation.complete", other["id"], ASK)

    assert made["expiresAt"] > 0
    assert items[-1]["data"]["text"] == "t1 t2 t3"
    assert len(messages["items"]) == 2
    assert told.value.code == "NOT_FOUND"


async def test_it_begins_a_session_with_a_bot(house: House, node: Node) -> None:
    bot = await node("bot.create", {"backstory": "b"})
    first = {"type": "bot", "text": "Welcome."}

    made = await node("bot.session.create", bot["id"], {"messages": [first]})
    async with Node(house.api().url, made["token"]) as page:
        answer = await page("conversation.complete", made["conversationId"], ASK)

    assert made["messages"] == [first]
    assert answer["text"] == "t1 t2 t3"
    assert (await node("conversation.fetch", made["conversationId"]))["botId"] == bot["id"]


async def test_it_says_what_a_refusal_said(node: Node, conversation: str) -> None:
    refusals: list[tuple[str, list[Any], str]] = [
        ("bot.fetch", ["bot_unknown"], "NOT_FOUND"),
        ("conversation.complete", [conversation, {"text": ""}], "BAD_REQUEST"),
        ("conversation.complete", [conversation, {"text": "x", "entities": []}], "NOT_IMPLEMENTED"),
        ("conversation.complete", [conversation, {"text": "[model status=400]"}], "MODEL_REFUSED"),
        ("dataset.list", [], "NOT_IMPLEMENTED"),
    ]

    for call, arguments, code in refusals:
        with pytest.raises(FetchError) as told:
            await node(call, *arguments, retries=0)
        assert told.value.code == code
        assert told.value.message


async def test_a_failure_in_mid_stream_is_an_error_item(node: Node, conversation: str) -> None:
    items = await node.stream("conversation.complete", conversation, {"text": "[model status=400]"})

    assert kinds(items)[-1] == "error"
    assert items[-1]["data"]["message"]
    assert "result" not in kinds(items)


async def test_every_character_of_every_language_comes_through(node: Node, conversation: str) -> None:
    text = "naïve 漢字 🦉 \u2028 \x7f"

    await node("conversation.send", conversation, {"text": text})
    streamed = await node.stream("conversation.message.list", conversation)

    assert [item["data"]["text"] for item in streamed] == [text]


@pytest.mark.parametrize("losses", [1, 3])
async def test_a_post_it_repeats_under_a_key_is_one_turn(tenant: Tenant, losses: int) -> None:
    """It repeats a POST whose answer was lost, up to three times; under a key that is one turn."""
    conversation = await tenant.api.conversation()
    word = ids.new("word")
    key = tenant.api.key

    async with losing(tenant.house.ports["api"], losses) as url, Node(url, key) as node:
        answer = await node(
            "conversation.complete",
            conversation,
            {"text": f"{word} [model tokens=2]"},
            headers={"Idempotency-Key": word},
        )

    assert answer["text"] == "t1 t2"
    assert len(await tenant.api.messages(conversation)) == 2
    assert len(await tenant.house.calls(word)) == 1


async def test_a_stream_it_repeats_under_a_key_is_one_turn_told_whole(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    word = ids.new("word")
    ask = {"text": f"{word} [model tokens=4]"}

    async with losing(tenant.house.ports["api"], 1) as url, Node(url, tenant.api.key) as node:
        headers = {"Idempotency-Key": word}
        items = await node.stream("conversation.complete", conversation, ask, headers=headers)

    assert "".join(item["data"]["token"] for item in items if item["type"] == "token") == "t1 t2 t3 t4"
    assert kinds(items)[-1] == "result"
    assert len(await tenant.house.calls(word)) == 1


async def test_a_dispatch_it_repeats_with_its_channel_is_one_run(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    word = ids.new("word")
    ask = {"text": f"{word} [model tokens=1]", "channelId": ids.channel()}

    async with losing(tenant.house.ports["api"], 2) as url, Node(url, tenant.api.key) as node:
        told = await node("conversation.dispatch", conversation, ask)
        items = await node.stream("channel.subscribe", told["channelId"])

    assert told["channelId"] == ask["channelId"]
    assert items[-1]["data"]["type"] == "result"
    assert len(await tenant.house.calls(word)) == 1


async def test_a_run_that_failed_is_not_asked_for_again(tenant: Tenant) -> None:
    """It repeats 429 and 5xx; a run that was accepted and failed is neither."""
    conversation = await tenant.api.conversation()
    word = ids.new("word")
    ask = {"text": f"{word} [model status=400]"}

    async with Node(tenant.api.url, tenant.api.key) as node:
        with pytest.raises(FetchError):
            await node("conversation.complete", conversation, ask)

    assert len(await tenant.house.calls(word)) == 1
    assert len((await tenant.api.get(f"/v1/run/list?conversationId={conversation}")).body["items"]) == 1


async def test_a_stream_that_breaks_off_is_an_error_and_the_run_goes_on(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()

    async with Node(tenant.api.url, tenant.api.key) as node:
        first = await node.stream(
            "conversation.complete", conversation, {"text": "[model tokens=20 delay=20]"}, take=3
        )

    async def answered() -> None:
        said = await tenant.api.messages(conversation)
        assert [kind for kind, _ in said] == ["user", "bot"]

    assert len(first) == 3
    await eventually(answered)


async def test_its_time_zone_and_run_as_headers_are_understood(house: House, conversation: str) -> None:
    async with Node(house.api().url, house.key, timezone="Europe/London") as node:
        answer = await node("conversation.complete", conversation, {"text": "[model tokens=1]"})
        with pytest.raises(FetchError) as told:
            await node("bot.list", runAsUserId="somebody", retries=0)

    assert answer["text"] == "t1"
    assert told.value.code == "NOT_IMPLEMENTED"
