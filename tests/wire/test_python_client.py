"""The official Python client, unchanged, through every operation that it has and we serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import pytest
from chatbotkit import ChatBotKit, types
from chatbotkit._transport import APIError

from domain import ids
from tests import executions, tasks
from tests.api.test_foreign import ABILITY
from tests.house import House, eventually
from tests.http import Api
from tests.triggers import DONE

ASK = {"text": "[model tokens=3 reasoning=1]"}
NOUNS = ["bot", "contact", "conversation", "skillset", "secret", "task", "integration.trigger"]
STATELESS = {"messages": [{"type": "user", "text": "[model tokens=3 reasoning=1]"}]}


@pytest.fixture
async def kit(house: House) -> AsyncIterator[ChatBotKit]:
    client = ChatBotKit(token=house.key, base_url=house.api().url)
    yield client
    await client.aclose()


@pytest.fixture
async def conversation(kit: ChatBotKit) -> str:
    made = await kit.conversation.create({"name": "from the client"})
    return str(made.id)


async def heard(stream: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """The same, to be closed before its end."""
    async for item in stream:
        yield item


async def listened(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


def kinds(items: list[Any]) -> list[str]:
    return [item.type.value for item in items]


@pytest.mark.parametrize(
    "noun", ["bot", "contact", "conversation", "skillset", "secret", "task", "integration.trigger"]
)
async def test_it_makes_reads_changes_lists_and_removes(kit: ChatBotKit, noun: str) -> None:
    client = attrgetter(noun)(kit)

    made = await client.create({"name": "one", "description": "d", "meta": {"wire": noun}})
    changed = await client.update(made.id, {"name": "two", "meta": {"more": True}})
    found = await client.fetch(made.id)
    page = await client.list({"take": 1, "order": "desc", "meta": {"wire": noun}})
    streamed = await listened(client.list({"meta": {"wire": noun}}).stream())
    nothing = await client.list({"meta": {"wire": "nothing at all"}})
    removed = await client.delete(made.id)

    assert changed.id == removed.id == found.id == made.id
    assert (found.name, found.description) == ("two", "d")
    assert found.meta == {"wire": noun, "more": True}
    assert isinstance(found.created_at, float)
    assert [item.id for item in page.items] == [made.id] == [page.cursor]
    assert [item.data.id for item in streamed] == [made.id]
    assert (nothing.items, nothing.cursor) == ([], "")


async def test_it_keeps_a_secret_whose_value_it_does_not_see_again(kit: ChatBotKit) -> None:
    alias = ids.new("desk")
    made = await kit.secret.create({"alias": alias, "kind": "shared", "type": "bearer", "value": "canary"})
    await kit.secret.update(made.id, {"type": "basic", "value": "canary:canary"})

    found = await kit.secret.fetch(f"@{alias}")
    page = await kit.secret.list({"take": 1})

    assert (found.id, found.type.value, found.kind.value) == (made.id, "basic", "shared")
    assert [item.id for item in page.items] == [made.id]
    assert "canary" not in str([found.to_dict(), page.to_dict()])


async def test_it_ensures_a_contact_and_takes_every_field_of_one(kit: ChatBotKit) -> None:
    full = {"fingerprint": ids.new("f"), "email": "a@b.c", "phone": "1", "nick": "n", "preferences": "p"}

    one = await kit.contact.ensure(full | {"verifiedAt": 1_767_225_600_000})
    other = await kit.contact.ensure(full | {"name": "unchanged"})
    found = await kit.contact.fetch(one.id)

    assert one.id == other.id
    assert found.fingerprint == full["fingerprint"]
    assert (found.email, found.phone, found.nick, found.preferences) == ("a@b.c", "1", "n", "p")
    assert found.verified_at == 1_767_225_600_000


async def test_it_gives_a_conversation_its_bot_contact_and_first_messages(kit: ChatBotKit) -> None:
    bot, contact = await kit.bot.create({"model": "gpt-5"}), await kit.contact.create({})
    made = await kit.conversation.create(
        {"botId": bot.id, "contactId": contact.id, "messages": [{"type": "user", "text": "hi"}]}
    )

    found = await kit.conversation.fetch(made.id)

    assert (found.bot_id, found.contact_id) == (bot.id, contact.id)
    assert [(message.type.value, message.text) for message in made.messages] == [("user", "hi")]


async def test_it_keeps_the_abilities_of_a_skillset(kit: ChatBotKit) -> None:
    secret = (await kit.secret.create({})).id
    skillset, told = (await kit.skillset.create({"name": "s"})).id, ABILITY | {"linkedSecretId": secret}
    made = await kit.skillset.ability.create(skillset, types.SkillsetAbilityCreateRequest.from_dict(told))
    await kit.skillset.ability.update(skillset, made.id, {"name": "two"})
    found = await kit.skillset.ability.fetch(skillset, made.id)
    page = await kit.skillset.ability.list(skillset, {"take": 1})
    listed = await listened(kit.skillset.ability.list(skillset).stream())
    exported = await kit.skillset.ability.export(skillset)
    lines = await listened(kit.skillset.ability.export(skillset).stream())
    removed = await kit.skillset.ability.delete(skillset, made.id)

    assert (found.name, found.description, found.instruction) == ("two", "d", ABILITY["instruction"])
    assert found.linked_secret_id == secret
    assert [item.id for item in page.items + exported.items] == [made.id, made.id]
    assert [item.data.linked_secret_id for item in listed + lines] == [secret, secret]
    assert removed.id == made.id


async def test_it_gives_a_bot_and_a_conversation_their_skillset(kit: ChatBotKit) -> None:
    skillset = (await kit.skillset.create({"alias": ids.new("tools")})).id
    named = {"skillsetId": f"@{(await kit.skillset.fetch(skillset)).alias}"}

    bot, made = await kit.bot.create(named), await kit.conversation.create(named)
    answer = await kit.conversation.complete(None, STATELESS | named)

    assert (await kit.bot.fetch(bot.id)).skillset_id == skillset
    assert (await kit.conversation.fetch(made.id)).skillset_id == skillset
    assert answer.text == "t1 t2 t3"


async def test_it_votes_and_lists_the_conversations_of_a_contact(kit: ChatBotKit) -> None:
    bot, contact = await kit.bot.create({}), await kit.contact.create({})
    made = await kit.conversation.create({"botId": bot.id, "contactId": contact.id})

    up = [await kit.bot.upvote(bot.id, {"value": 5}), await kit.conversation.upvote(made.id, {"reason": "r"})]
    down = [await kit.bot.downvote(bot.id, {}), await kit.conversation.downvote(made.id, {})]
    page = await kit.contact.conversation.list(contact.id, {"take": 1})
    streamed = await listened(kit.contact.conversation.list(contact.id).stream())

    assert [told.id for told in up] == [bot.id, made.id] == [told.id for told in down]
    assert [item.id for item in page.items] == [made.id] == [item.data.id for item in streamed]


async def test_its_types_take_our_ratings(kit: ChatBotKit, api: Api) -> None:
    contact = await kit.contact.create({})
    made = await kit.conversation.create({"contactId": contact.id})
    await kit.conversation.upvote(made.id, {"value": 2.5, "reason": "r"})

    told = (await api.get(f"/v1/contact/{contact.id}/rating/list")).body
    (rating,) = types.ContactRatingListResponse.from_dict(told).items

    assert (rating.value, rating.reason, rating.conversation_id) == (2.5, "r", made.id)


async def test_it_exports_the_event_log(kit: ChatBotKit, conversation: str) -> None:
    page = await kit.event.log.export({"take": 1})
    streamed = await listened(kit.event.log.export({"take": 1}).stream())

    assert page.items[0].conversation_id == conversation == streamed[0].data.conversation_id


async def test_it_completes_statelessly_at_once_and_streamed(kit: ChatBotKit) -> None:
    answer = await kit.conversation.complete(None, STATELESS)
    items = await listened(kit.conversation.complete(None, STATELESS).stream())

    assert (answer.text, answer.end.reason.value) == ("t1 t2 t3", "stop")
    assert answer.usage.token > 0
    assert "".join(item.data.token for item in items if item.type.value == "token") == "t1 t2 t3"
    assert kinds(items)[-1] == "result"
    assert items[-1].data.text == "t1 t2 t3"


async def test_it_completes_a_turn_at_once_and_streamed(kit: ChatBotKit, conversation: str) -> None:
    answer = await kit.conversation.complete(conversation, ASK)
    items = await listened(kit.conversation.complete(conversation, ASK).stream())

    assert answer.id.startswith("msg_")
    assert (answer.text, answer.end.reason.value) == ("t1 t2 t3", "stop")
    assert {*kinds(items)} == {
        "completeBegin",
        "reasoningToken",
        "token",
        "message",
        "usage",
        "completeEnd",
        "result",
    }
    assert items[-1].data.id.startswith("msg_")


async def test_it_sends_and_receives_at_once_and_streamed(kit: ChatBotKit, conversation: str) -> None:
    sent = await kit.conversation.send(conversation, {"text": "[model tokens=2]"})
    received = await kit.conversation.receive(conversation, {})
    sent_streamed = await listened(kit.conversation.send(conversation, {"text": "[model tokens=1]"}).stream())
    received_streamed = await listened(kit.conversation.receive(conversation, {}).stream())

    assert sent.id.startswith("msg_")
    assert sent.entities == []
    assert (received.text, received.usage.token > 0) == ("t1 t2", True)
    assert kinds(sent_streamed) == ["result"]
    assert sent_streamed[0].data.id.startswith("msg_")
    assert received_streamed[-1].data.text == "t1"


@pytest.mark.parametrize("stateless", [True, False], ids=["stateless", "stateful"])
async def test_it_dispatches_and_subscribes(kit: ChatBotKit, conversation: str, stateless: bool) -> None:
    ask = STATELESS if stateless else ASK
    told = await kit.conversation.dispatch(None if stateless else conversation, ask)

    items = await listened(kit.channel.subscribe(told.channel_id).stream())
    newest = await listened(kit.channel.subscribe(told.channel_id, {"historyLength": 1}).stream())

    inner = [item.data for item in items]
    assert inner[-1]["type"] == "result"
    assert inner[-1]["data"]["text"] == "t1 t2 t3"
    assert [item.data for item in newest] == inner[-1:]


async def test_it_publishes_and_hears_what_it_published(kit: ChatBotKit) -> None:
    channel = ids.channel()

    told = await kit.channel.publish(channel, {"message": {"n": 1}})
    async with aclosing(heard(kit.channel.subscribe(channel).stream())) as stream:
        first = await anext(stream)

    assert told.id == channel
    assert first.data == {"n": 1}


async def test_it_lists_the_models(kit: ChatBotKit) -> None:
    page = await kit.platform.model.list({"take": 2})
    items = await listened(kit.platform.model.list().stream())
    words = await kit.platform.model.list({"type": "language"})
    images = await kit.platform.model.list({"type": "image"})

    assert len(page.items) == 2
    assert {model.type.value for model in page.items} == {"language"}
    assert len(words.items) == len(items)
    assert images.items == []
    assert {item.data.provider for item in items} == {"openai", "anthropic"}
    assert len(items) > 2


async def test_it_says_when_a_task_is_due_and_stops_it(kit: ChatBotKit) -> None:
    bot, contact = await kit.bot.create({}), await kit.contact.create({})
    said: dict[str, Any] = {"schedule": "0 7 * * 1-5", "timezone": "Europe/London", "sessionDuration": 0}
    said |= {"maxIterations": 20, "maxTime": 1_000_000, "botId": bot.id, "contactId": contact.id}

    made = await kit.task.create(said | {"maxCalls": 5})
    found = await kit.task.fetch(made.id)
    page = await kit.task.list({"botId": bot.id, "status": "idle"})
    exported = await listened(kit.task.export({"take": 1}).stream())
    stopped = await kit.task.cancel(made.id)

    assert said.items() <= found.to_dict().items()
    assert (found.status.value, found.outcome.value) == ("idle", "pending")
    assert found.next_run_at > found.created_at
    assert [item.id for item in page.items] == [made.id] == [item.data.id for item in exported]
    assert stopped.id == made.id


async def test_it_reads_what_has_a_delivery_like_anything_else(kit: ChatBotKit, conversation: str) -> None:
    hook = {"webhook": {"url": "https://receiver.invalid/", "headers": {"X-A": "a"}, "events": ["failed"]}}

    made = await kit.task.create({"name": "n", "delivery": hook})
    await kit.task.update(made.id, {"description": "d", "delivery": hook})
    found = await kit.task.fetch(made.id)
    page = await kit.task.list({"take": 1})
    exported = await listened(kit.task.export({"take": 1}).stream())
    told = await kit.conversation.dispatch(conversation, ASK | {"delivery": hook})

    assert (found.id, found.name, found.description) == (made.id, "n", "d")
    assert [item.id for item in page.items] == [made.id] == [item.data.id for item in exported]
    assert told.channel_id


async def test_it_reads_the_usage_of_the_account(kit: ChatBotKit, conversation: str) -> None:
    answer = await kit.conversation.complete(conversation, ASK)

    used, series = await kit.usage.fetch(), await kit.usage.series.fetch()

    assert used.tokens >= answer.usage.token
    assert (used.database.datasets, used.database.users) == (0, 0)
    assert [len(days) for days in (series.tokens, series.conversations, series.messages)] == [90, 90, 90]
    assert series.tokens[-1].total >= answer.usage.token


async def test_it_names_a_bot_by_its_alias_and_sets_when_a_conversation_expires(kit: ChatBotKit) -> None:
    alias, expires = ids.new("desk"), 4_102_444_800_000
    bot = await kit.bot.create({"alias": alias})
    made = await kit.conversation.create({"botId": f"@{alias}", "expiresAt": expires})

    named, found = await kit.bot.fetch(f"@{alias}"), await kit.conversation.fetch(made.id)

    assert (named.id, named.alias) == (bot.id, alias)
    assert (found.bot_id, found.expires_at) == (bot.id, expires)


async def test_it_lists_the_event_log(kit: ChatBotKit, conversation: str) -> None:
    page = await kit.event.log.list({"take": 1})
    streamed = await listened(kit.event.log.list({"take": 2}).stream())

    assert page.items[0].type
    assert page.cursor == page.items[0].id
    assert len(streamed) == 2


async def test_it_makes_a_trigger_with_a_schedule_and_a_secret_and_sets_it_off(
    kit: ChatBotKit,
) -> None:
    bot, triggers = (await kit.bot.create({})).id, kit.integration.trigger
    said = {"botId": bot, "authenticate": False, "schedule": "0 7 * * 1-5", "timezone": "Europe/London"}

    made = (await triggers.create(said | {"sessionDuration": 60_000, "description": DONE})).id
    found = await triggers.fetch(made)
    setup = await triggers.setup(made, {})
    invoked = await triggers.invoke(made, {})
    run = await eventually(lambda: ended(kit, made))
    page = await triggers.list({"take": 1})
    removed = await triggers.delete(made)

    assert (found.bot_id, found.authenticate, found.schedule) == (bot, False, "0 7 * * 1-5")
    assert (found.timezone, found.session_duration) == ("Europe/London", 60_000)
    assert len(found.secret) == 64
    assert found.next_trigger_at > found.created_at
    assert setup.id == invoked.id == removed.id == made == page.items[0].id
    assert page.items[0].last_trigger_at is not None
    assert run.bot_id == bot


async def ended(kit: ChatBotKit, trigger: str) -> Any:
    """What the log tells of the run of a trigger, once it went well."""
    log = (await kit.event.log.list({"take": 50})).items
    told = [one for one in log if (one.type, one.trigger_integration_id) == ("run.succeeded", trigger)]
    assert len(told) == 1
    return told[0]


async def test_it_lists_and_cancels_the_executions_of_a_task(kit: ChatBotKit, house: House) -> None:
    task, waits = await tasks.new_task(house.store, house.account), datetime.now(UTC) + timedelta(minutes=1)
    over = await executions.new_execution(house.store, task, summary="All is well.", meta={"wire": True})
    parked = await executions.new_execution(house.store, task, "running", {"parked_at": datetime.now(UTC)})
    await executions.delay(house.store, parked, waits)

    page = await kit.task.execution.list(task)
    streamed = await listened(kit.task.execution.list(task).stream())
    running = await kit.task.execution.list(task, {"status": "running"})
    marked = await kit.task.execution.list(task, {"meta": {"wire": True}})
    canceled = await kit.task.execution.cancel(task, parked)
    left = await kit.task.execution.list(task, {"status": "canceled"})
    nothing = await kit.task.execution.list(await tasks.new_task(house.store, house.account))

    assert [item.id for item in page.items] == [parked, over] == [item.data.id for item in streamed]
    resumes, ended = page.items[0].resume_at, page.items[1].completed_at
    assert abs(resumes - waits) < timedelta(milliseconds=1)
    assert abs(datetime.now(UTC) - ended) < timedelta(minutes=1)
    assert (page.items[1].summary, page.items[1].outcome.value) == ("All is well.", "success")
    assert [item.id for item in running.items] == [parked] == [item.id for item in left.items]
    assert [item.id for item in marked.items] == [over]
    assert (canceled.id, canceled.task_id) == (parked, task)
    assert (nothing.items, nothing.cursor) == ([], "")


async def test_it_runs_a_task_by_hand_sees_what_came_of_it_and_stops_its_runs(kit: ChatBotKit) -> None:
    said = {"description": "[model calls=1 tool=_success args=summary:sent]", "sessionDuration": 0}
    task = (await kit.task.create(said)).id

    async def newest(status: str, outcome: str) -> Any:
        (first, *_) = (await kit.task.execution.list(task)).items or [None]
        assert first is not None
        assert (first.status.value, first.outcome.value) == (status, outcome)
        return first

    triggered = await kit.task.trigger(task)
    sent = await eventually(lambda: newest("idle", "success"))
    await kit.task.update(task, {"description": "[model tokens=1000 delay=50]"})
    await kit.task.trigger(task)
    one = await eventually(lambda: newest("running", "pending"))
    stopped = await kit.task.execution.cancel(task, one.id)
    await newest("canceled", "failure")
    await kit.task.trigger(task, {})
    other = await eventually(lambda: newest("running", "pending"))
    busy = await kit.task.fetch(task)
    canceled = await kit.task.cancel(task)
    free = await kit.task.fetch(task)
    listed = await listened(kit.task.execution.list(task, {"order": "asc"}).stream())

    assert triggered.id == canceled.id == stopped.task_id == task
    assert (sent.summary, sent.task_id) == ("sent", task)
    assert stopped.id == one.id
    assert (busy.status.value, busy.outcome.value) == ("running", "pending")
    assert (free.status.value, free.outcome.value) == ("idle", "failure")
    assert [(item.data.id, item.data.status.value) for item in listed] == [
        *((sent.id, "idle"), (one.id, "canceled")),
        (other.id, "canceled"),
    ]


async def test_its_types_take_the_lines_of_a_task(kit: ChatBotKit, api: Api, house: House) -> None:
    """It has no call for them yet, only what they are."""
    task = await tasks.new_task(house.store, house.account)
    run = await executions.new_execution(
        house.store, task, "running", told=[executions.begun("run_x"), executions.done("run_x")]
    )
    await executions.finish(house.store, run, "failed", executions.failed(run))

    async with api.streaming(f"/v1/task/{task}/subscribe", {"historyLength": 3}) as lines:
        told = [types.TaskWorkflowStreamingResponseItem.from_dict(await anext(lines)) for _ in range(3)]

    assert kinds(told) == ["operationBegin", "operationEnd", "error"]
    assert [item.data.to_dict().get("action", {}).get("kind") for item in told] == [
        "skillset",
        "skillset",
        None,
    ]
    assert told[2].data.code == "MODEL_REFUSED"
    assert all(isinstance(item.created_at, float) for item in told)


async def test_it_says_what_a_refusal_said(kit: ChatBotKit, conversation: str) -> None:
    refusals: list[tuple[Any, int, str]] = [
        (kit.bot.fetch("bot_unknown"), 404, "NOT_FOUND"),
        (kit.conversation.complete(conversation, {"text": ""}), 400, "BAD_REQUEST"),
        (kit.conversation.complete(conversation, {"text": "x", "entities": []}), 501, "NOT_IMPLEMENTED"),
        (kit.conversation.complete(conversation, {"text": "[model status=400]"}), 422, "MODEL_REFUSED"),
        (kit.dataset.list(), 501, "NOT_IMPLEMENTED"),
    ]

    for call, status, code in refusals:
        with pytest.raises(APIError) as told:
            await call
        assert (told.value.status_code, told.value.code) == (status, code)
        assert told.value.message


async def test_a_failure_in_mid_stream_is_an_error_item(kit: ChatBotKit, conversation: str) -> None:
    items = await listened(kit.conversation.complete(conversation, {"text": "[model status=400]"}).stream())

    assert kinds(items)[-1] == "error"
    assert items[-1].data.message
    assert "result" not in kinds(items)


@pytest.mark.parametrize("said", [0, 20_000], ids=["after some text", "before any text"])
async def test_a_cancelled_turn_is_an_answer_it_understands(
    kit: ChatBotKit, api: Api, conversation: str, said: int
) -> None:
    ask = {"text": f"[model tokens=4000 delay=20 first={said}]"}
    waiting = asyncio.create_task(kit.conversation.complete(conversation, ask).json())
    streaming = asyncio.create_task(listened(kit.conversation.complete(conversation, ask).stream()))

    for _ in range(2):
        run = await eventually(lambda: begun(api, conversation, said == 0))
        await api.ok(f"/v1/run/{run}/cancel")
    answer, items = await waiting, await streaming

    assert answer.end.reason.value == "abort"
    assert answer.text.startswith("t1") if said == 0 else answer.text == ""
    assert kinds(items)[-2:] == ["abort", "result"]
    assert items[-1].data.end.reason.value == "abort"


async def begun(api: Api, conversation: str, spoken: bool) -> str:
    """The run whose model is at work, and has said something if it is to."""
    (run,) = (await api.get(f"/v1/run/list?state=running&conversationId={conversation}")).body["items"] or [
        None
    ]
    assert run is not None
    async with api.streaming(f"/v1/run/{run['id']}/subscribe") as events:
        async for event in events:
            if event["data"]["type"] == ("token" if spoken else "completeBegin"):
                break
    return str(run["id"])


async def test_its_generated_requests_are_understood(kit: ChatBotKit) -> None:
    request = types.BotCreateRequest.from_dict({"name": "typed", "model": "gpt-5", "backstory": "b"})

    made = await kit.bot.create(request)
    found = await kit.bot.fetch(made.id)

    assert (found.name, found.model, found.backstory) == ("typed", "gpt-5", "b")


async def test_its_time_zone_header_is_understood(house: House, conversation: str) -> None:
    kit = ChatBotKit(token=house.key, base_url=house.api().url, timezone="Europe/London")

    answer = await kit.conversation.complete(conversation, {"text": "[model tokens=1]"})
    await kit.aclose()

    assert answer.text == "t1"


async def test_acting_for_a_child_account_is_refused_by_name(house: House) -> None:
    kit = ChatBotKit(token=house.key, base_url=house.api().url, run_as_user_id="somebody")

    with pytest.raises(APIError) as told:
        await kit.bot.list()
    await kit.aclose()

    assert told.value.status_code == 501
