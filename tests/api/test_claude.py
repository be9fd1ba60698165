"""Turns of models that speak Anthropic's messages: what callers hear, and what its trouble looks like."""

from __future__ import annotations

from typing import Any

import pytest

from domain import ids
from tests.conftest import Build
from tests.house import House
from tests.http import Api, text_of

MODEL = "anthropic:claude-sonnet-5-5/maxTokens=100"


@pytest.fixture
def word() -> str:
    """Something that only this test says."""
    return ids.new("word")


async def asked(house: House, word: str) -> dict[str, Any]:
    """The one call whose prompts contain the word."""
    (call,) = await house.calls(word)
    return call


async def test_a_turn_is_answered_and_stored_with_its_usage(house: House, api: Api, word: str) -> None:
    conversation = await api.conversation(model=MODEL, backstory=word)

    answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=3]"})

    call = await asked(house, word)
    assert (call["authorization"], call["prompts"]) == ("test", [word, "[model tokens=3]"])
    assert call["parameters"] == {"model": "claude-sonnet-5-5", "max_tokens": 100, "stream": True}
    assert (answer["text"], answer["end"]) == ("t1 t2 t3", {"reason": "stop"})
    assert answer["usage"] == {"token": 6}
    assert await api.messages(conversation) == [("user", "[model tokens=3]"), ("bot", "t1 t2 t3")]
    (step,) = (await api.get(f"/v1/run/{answer['runId']}/fetch")).body["steps"]
    assert (step["model"], step["inputTokens"], step["outputTokens"]) == ("claude-sonnet-5-5", 3, 3)


async def test_a_turn_streams_its_reasoning_its_text_and_its_usage(api: Api) -> None:
    conversation = await api.conversation(model="claude-opus-5-5/thinking=adaptive")

    events = await api.stream(
        f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=3 reasoning=2]"}
    )

    told = [(event["type"], event["data"].get("token")) for event in events if "oken" in event["type"]]
    assert told == [
        ("reasoningToken", "r1"),
        ("reasoningToken", " r2"),
        ("token", "t1"),
        ("token", " t2"),
        ("token", " t3"),
    ]
    (used,) = [event["data"] for event in events if event["type"] == "usage"]
    assert used == {"model": "claude-opus-5-5", "inputTokensUsed": 3, "outputTokensUsed": 5}
    assert events[-1]["data"]["text"] == text_of(events) == "t1 t2 t3"


async def test_an_answer_that_reaches_its_limit_says_so(api: Api) -> None:
    ask = {
        "messages": [{"type": "user", "text": "[model tokens=9]"}],
        "model": "claude-haiku-5-5/maxTokens=2",
    }

    answer = await api.ok("/v1/conversation/complete", ask)

    assert (answer["text"], answer["end"]) == ("t1 t2", {"reason": "length"})


async def test_the_agent_may_speak_first_and_twice(house: House, api: Api, word: str) -> None:
    conversation = await api.conversation(model=MODEL, backstory=word)

    for _ in range(2):
        await api.ok(f"/v1/conversation/{conversation}/receive")

    first, second = [call["prompts"] for call in await house.calls(word)]
    assert first == [word, "Please begin."]
    assert second[:2] == first
    assert second[2].startswith("This is Holdfast's demo model")
    assert second[3:] == ["Please go on."]


async def test_what_the_operator_says_in_between_is_said_to_the_model_as_such(
    house: House, api: Api, word: str
) -> None:
    messages = [
        {"type": "backstory", "text": word},
        {"type": "user", "text": "one"},
        {"type": "bot", "text": "two"},
        {"type": "context", "text": "known"},
        {"type": "user", "text": "three"},
        {"type": "instruction", "text": "be brief"},
    ]

    await api.ok("/v1/conversation/complete", {"messages": messages, "model": MODEL})

    assert (await asked(house, word))["prompts"] == [f"{word}\n\nknown\n\nbe brief", "one", "two", "three"]


@pytest.mark.parametrize("fault", ["status=529", "failed=2 error=overloaded_error", "cut=2", "end=2"])
async def test_a_failed_attempt_is_made_good_by_the_next(
    house: House, api: Api, word: str, fault: str
) -> None:
    ask = {
        "messages": [{"type": "user", "text": f"{word} [model tokens=4 times=1 {fault}]"}],
        "model": MODEL,
    }

    events = await api.stream("/v1/conversation/complete", ask)

    assert len(await house.calls(word)) == 2
    assert events[-1]["data"]["text"] == text_of(events) == "t1 t2 t3 t4"


async def test_a_refused_request_is_422_with_its_code_and_the_servers_words(api: Api) -> None:
    conversation = await api.conversation(model=MODEL)

    status, body, _ = await api.post(
        f"/v1/conversation/{conversation}/complete", {"text": "[model status=401]"}
    )

    assert (status, body["code"]) == (422, "MODEL_REFUSED")
    assert "asked to answer 401" in body["message"]


@pytest.mark.slow
async def test_without_a_key_the_caller_is_told_what_to_set(build: Build) -> None:
    unset = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_BASE_URL": ""}
    house = await build(**unset, HOLDFAST_DEFAULT_MODEL="claude-opus-5-5")
    ask: dict[str, Any] = {"messages": [{"type": "user", "text": "[model tokens=1]"}]}
    async with house.api() as api:
        status, body, _ = await api.post("/v1/conversation/complete", ask)
        other = await api.ok("/v1/conversation/complete", ask | {"model": "gpt-5"})

    assert (status, body["code"]) == (422, "MODEL_REFUSED")
    assert "set ANTHROPIC_API_KEY" in body["message"]
    assert other["text"] == "t1"
    assert "HOLDFAST_DEFAULT_MODEL is `claude-opus-5-5`" in (house.home / "log/worker.log").read_text()
