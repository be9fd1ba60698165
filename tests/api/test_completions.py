"""Completions: what reaches the model, and what its trouble looks like to a caller."""

from __future__ import annotations

from typing import Any

import pytest

from domain import ids
from tests.conftest import Build
from tests.house import House
from tests.http import Api
from tests.tenant import Tenant


@pytest.fixture
def word() -> str:
    """Something that only this test says."""
    return ids.new("word")


async def asked(house: House, word: str) -> dict[str, Any]:
    """The one call whose prompts contain the word."""
    (call,) = await house.calls(word)
    return call


async def test_backstory_model_and_contact_of_a_conversation_reach_the_model(
    house: House, api: Api, word: str
) -> None:
    contact = {"fingerprint": word, "name": "Ada", "nick": "Lady A", "email": "a@example.com"}
    conversation = await api.conversation(
        backstory="You are terse.", model="gpt-4o/temperature=0.2/maxTokens=100/stop=END", contactId=contact
    )

    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": word})

    call = await asked(house, word)
    system, user = call["prompts"]
    assert user == word
    assert system.startswith("You are terse.")
    assert "Ada" in system
    assert "Lady A" in system
    assert call["parameters"] == {
        "model": "gpt-4o",
        "temperature": 0.2,
        "max_tokens": 100,
        "stop": "END",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_bots_backstory_and_model_reach_the_model(house: House, api: Api, word: str) -> None:
    bot = (await api.ok("/v1/bot/create", {"backstory": f"I am {word}", "model": "o3/maxTokens=5"}))["id"]
    conversation = await api.conversation(botId=bot)

    answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=9]"})

    call = await asked(house, word)
    assert call["prompts"] == [f"I am {word}", "[model tokens=9]"]
    assert call["parameters"]["model"] == "o3"
    assert call["parameters"]["max_completion_tokens"] == 5
    assert answer["text"] == "t1 t2 t3 t4 t5"
    assert answer["end"] == {"reason": "length"}


async def test_a_bot_is_read_when_its_turn_begins(house: House, api: Api, word: str) -> None:
    bot = (await api.ok("/v1/bot/create", {"backstory": "old"}))["id"]
    conversation = await api.conversation(botId=bot)
    await api.ok(f"/v1/bot/{bot}/update", {"backstory": "new"})

    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": word})

    assert (await asked(house, word))["prompts"] == ["new", word]


async def test_what_a_conversation_says_wins_over_its_bot(house: House, api: Api, word: str) -> None:
    bot = (await api.ok("/v1/bot/create", {"backstory": "bot's", "model": "o3"}))["id"]
    conversation = await api.conversation(botId=bot, backstory="its own", model="gpt-4o")

    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": word})

    call = await asked(house, word)
    assert (call["prompts"][0], call["parameters"]["model"]) == ("its own", "gpt-4o")


async def test_a_stateless_call_brings_everything_itself(house: House, api: Api, word: str) -> None:
    bot = (await api.ok("/v1/bot/create", {"backstory": "bot's", "model": "o3"}))["id"]
    ask: dict[str, Any] = {
        "messages": [
            {"type": "backstory", "text": "more"},
            {"type": "user", "text": "one"},
            {"type": "bot", "text": "two"},
            {"type": "reasoning", "text": "hm"},
            {"type": "context", "text": "known"},
            {"type": "user", "text": word, "meta": {"a": 1}},
        ],
        "botId": bot,
        "contactId": {"fingerprint": word, "name": "Ada", "meta": {}},
    }

    await api.ok("/v1/conversation/complete", ask)
    await api.ok("/v1/conversation/complete", ask | {"backstory": "own", "model": "openai:gpt-4o"})

    first, second = await house.calls(word)
    assert first["prompts"][0].startswith("bot's")
    assert "Ada" in first["prompts"][0]
    assert first["prompts"][1:] == ["more", "one", "two", "known", word]
    assert first["parameters"]["model"] == "o3"
    assert second["prompts"][0].startswith("own")
    assert second["parameters"]["model"] == "gpt-4o"


async def test_a_stateless_call_makes_no_conversation(tenant: Tenant, word: str) -> None:
    answer = await tenant.api.ok("/v1/conversation/complete", {"messages": [{"type": "user", "text": word}]})

    assert answer.keys() == {"text", "usage", "end", "runId"}
    assert (await tenant.belongings())["conversation"] == 0


async def test_a_model_that_nobody_named_is_the_default(house: House, api: Api, word: str) -> None:
    await api.ok("/v1/conversation/complete", {"messages": [{"type": "user", "text": word}]})

    assert (await asked(house, word))["parameters"]["model"] == "gpt-5-mini"


async def test_a_name_of_no_known_family_goes_to_the_compatible_endpoint(
    house: House, api: Api, word: str
) -> None:
    conversation = await api.conversation(model="meta-llama/Llama-3-8b/topP=0.5")

    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": word})

    parameters = (await asked(house, word))["parameters"]
    assert (parameters["model"], parameters["top_p"]) == ("meta-llama/Llama-3-8b", 0.5)


async def test_a_time_zone_tells_the_model_the_users_time(house: House, api: Api, word: str) -> None:
    ask = {"messages": [{"type": "user", "text": word}]}

    await api.ok("/v1/conversation/complete", ask, **{"X-Timezone": "Asia/Tokyo"})

    system, _ = (await asked(house, word))["prompts"]
    assert "(Asia/Tokyo)" in system


async def test_complete_without_a_text_continues_from_what_is_there(
    house: House, api: Api, word: str
) -> None:
    conversation = await api.conversation()
    await api.ok(f"/v1/conversation/{conversation}/send", {"text": f"{word} [model tokens=1]"})

    await api.ok(f"/v1/conversation/{conversation}/complete")
    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": None})

    assert [kind for kind, _ in await api.messages(conversation)] == ["user", "bot", "bot"]
    assert [len(call["prompts"]) for call in await house.calls(word)] == [1, 2]


@pytest.mark.parametrize("where", ["stateful", "stateless"])
async def test_a_run_whose_model_refuses_is_422_with_its_code_and_its_id(
    api: Api, word: str, where: str
) -> None:
    text = f"{word} [model status=400]"
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}/complete" if where == "stateful" else "/v1/conversation/complete"
    ask = {"text": text} if where == "stateful" else {"messages": [{"type": "user", "text": text}]}

    status, body, headers = await api.post(url, ask)
    events = await api.stream(url, ask)

    assert (status, body["code"]) == (422, "MODEL_REFUSED")
    assert body.keys() == {"message", "code", "runId", "requestId"}
    assert headers["X-Run-Id"] == body["runId"]
    assert events[-1]["type"] == "error"
    assert events[-1]["data"].keys() == {"message", "code", "runId"}
    assert events[-1]["data"]["code"] == "MODEL_REFUSED"
    assert "result" not in [event["type"] for event in events]
    if where == "stateful":
        assert await api.messages(conversation) == [("user", text)] * 2
        run = (await api.get(f"/v1/run/{body['runId']}/fetch")).body
        assert (run["state"], run["error"]["code"]) == ("failed", "MODEL_REFUSED")
        assert [(step["state"], step["attempt"]) for step in run["steps"]] == [("failed", 1)]


async def test_a_failed_turn_frees_its_conversation(api: Api) -> None:
    conversation = await api.conversation(onBusy="reject")
    await api.post(f"/v1/conversation/{conversation}/complete", {"text": "[model status=400]"})

    assert (await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1]"}))[
        "text"
    ] == "t1"


async def test_a_busy_model_is_asked_again_after_what_it_says(house: House, api: Api, word: str) -> None:
    ask = {
        "messages": [{"type": "user", "text": f"{word} [model tokens=1 status=429 retry_after=1 times=1]"}]
    }

    answer = await api.ok("/v1/conversation/complete", ask)

    first, second = await house.calls(word)
    assert answer["text"] == "t1"
    assert second["at"] - first["ended"] >= 900


async def test_a_cancelled_turn_that_said_nothing_answers_with_no_text(api: Api) -> None:
    conversation = await api.conversation()

    async with api.streaming(
        f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1 first=20000]"}
    ) as events:
        begun = await anext(events)
        (run,) = (await api.get(f"/v1/run/list?conversationId={conversation}")).body["items"]
        await api.ok(f"/v1/run/{run['id']}/cancel")
        rest = [event async for event in events]

    assert begun["type"] == "completeBegin"
    assert [event["type"] for event in rest] == ["abort", "result"]
    assert (rest[-1]["data"]["text"], rest[-1]["data"]["id"]) == ("", "")
    assert [kind for kind, _ in await api.messages(conversation)] == ["user"]


@pytest.mark.slow
async def test_a_json_caller_who_waited_too_long_is_told_the_run_goes_on(build: Build) -> None:
    house = await build(HOLDFAST_ANSWER_SECONDS="1")
    async with house.api() as api:
        conversation = await api.conversation()
        ask, keyed = {"text": "[model tokens=3 first=2000]"}, {"Idempotency-Key": conversation}
        url = f"/v1/conversation/{conversation}/complete"

        status, body, headers = await api.post(url, ask, **keyed)
        told = await api.stream(f"/v1/run/{body['runId']}/subscribe")
        again = await api.ok(url, ask, **keyed)

    assert (status, body["code"]) == (408, "TIMEOUT")
    assert headers["X-Run-Id"] == body["runId"] == again["runId"]
    assert told[-1]["data"]["data"] == again
