"""Traces: one for each turn, from the request to the model call, and no words in it."""

from __future__ import annotations

import subprocess
import sys

from tests.api.test_ability_runs import BLOCKED, made
from tests.collector import Span
from tests.house import ROOT, eventually
from tests.telemetry.conftest import Watched, canary_calls

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def whole(watched: Watched, run: str, count: int) -> dict[str, Span]:
    """The spans of a run's trace by their names, once there are so many."""

    async def check() -> dict[str, Span]:
        spans = watched.collector.of(run)
        assert len(spans) == count, spans
        return {span.name: span for span in spans}

    return await eventually(check)


async def test_a_turn_is_one_trace_from_the_request_of_its_caller_to_the_model_call(watched: Watched) -> None:
    api = watched.api
    conversation = await api.conversation(model="gpt-5-nano/temperature=0.5/maxTokens=100")

    answer = await api.ok(
        f"/v1/conversation/{conversation}/complete", {"text": "the canary sings"}, traceparent=CALLER
    )

    spans = await whole(watched, answer["runId"], 4)
    request = spans["POST /v1/conversation/{conversation}/complete"]
    accept, reply, call = spans["accept"], spans["model.reply"], spans["chat gpt-5-nano"]
    _, trace, caller, _ = CALLER.split("-")
    assert {span.trace for span in spans.values()} == {trace}
    assert (request.parent, accept.parent) == (caller, request.id)
    assert (reply.parent, call.parent) == (accept.id, reply.id)
    assert [span.kind for span in (request, accept, reply, call)] == [
        "SERVER",
        "INTERNAL",
        "CONSUMER",
        "CLIENT",
    ]
    assert (request.service, accept.service) == ("holdfast-api", "holdfast-api")
    assert (reply.service, call.service) == ("holdfast-worker", "holdfast-worker")
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["http.route"] == "/v1/conversation/{conversation}/complete"
    assert reply.attributes["holdfast.run.id"] == answer["runId"]
    assert reply.attributes["holdfast.attempt"] == 1
    assert not any(span.failed for span in spans.values())


async def test_a_model_call_is_told_in_the_words_of_the_genai_conventions(watched: Watched) -> None:
    api = watched.api
    conversation = await api.conversation(model="gpt-5-nano/temperature=0.5/maxTokens=100/user=canary")
    answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=4]"})

    told = (await whole(watched, answer["runId"], 4))["chat gpt-5-nano"].attributes

    assert 0 < told.pop("gen_ai.response.time_to_first_chunk") < 10
    assert told.pop("gen_ai.usage.input_tokens") > 0
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-nano",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.output_tokens": 4,
        "holdfast.outcome": "answered",
    }


async def test_a_call_by_hand_is_one_trace_to_the_call_of_the_tool(watched: Watched) -> None:
    execute, ability = await made(watched.api, BLOCKED)
    answer = await watched.api.ok(execute, {"input": "canary"})

    spans = await whole(watched, answer["runId"], 3)

    request = spans["POST /v1/skillset/{skillset}/ability/{ability}/execute"]
    accept, call = spans["accept"], spans["tool.call"]
    assert (accept.parent, call.parent) == (request.id, accept.id)
    assert (call.kind, call.service, call.failed) == ("CONSUMER", "holdfast-worker", True)
    assert call.attributes == {
        "holdfast.run.id": answer["runId"],
        "temporal.workflow.id": f"ability/{ability}/{answer['runId']}",
        "gen_ai.operation.name": "execute_tool",
        "holdfast.step": 1,
        "holdfast.attempt": 1,
        "holdfast.effect": "once",
        "holdfast.outcome": "TOOL_BLOCKED",
        "error.type": "TOOL_BLOCKED",
    }


async def test_every_attempt_is_a_span_and_one_that_failed_says_its_code(watched: Watched) -> None:
    text = "the canary fell [model tokens=1 status=500 echo times=1]"
    answer = await watched.api.ok("/v1/conversation/complete", {"messages": [{"type": "user", "text": text}]})

    await whole(watched, answer["runId"], 6)

    spans = watched.collector.of(answer["runId"])
    attempts = {span.attributes["holdfast.attempt"]: span for span in spans if span.name == "model.reply"}
    calls = {span.parent: span for span in spans if span.name == "chat gpt-5-mini"}
    assert [attempts[number].failed for number in (1, 2)] == [True, False]
    assert attempts[1].attributes["error.type"] == "MODEL_UNAVAILABLE"
    failed = calls[attempts[1].id]
    assert failed.failed
    assert failed.attributes["error.type"] == "MODEL_UNAVAILABLE"
    assert not calls[attempts[2].id].failed


async def test_a_call_without_a_trace_or_with_a_bad_one_begins_its_own(watched: Watched) -> None:
    for header in ("", "the canary", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 2000):
        body = {"messages": [{"type": "user", "text": "[model tokens=1]"}]}
        answer = await watched.api.ok("/v1/conversation/complete", body, traceparent=header)

        spans = await whole(watched, answer["runId"], 4)

        assert spans["POST /v1/conversation/complete"].parent == ""


async def test_no_word_of_anybody_is_in_what_is_sent(watched: Watched) -> None:
    api = watched.api
    conversation = await api.conversation(backstory="You are a canary.")
    path = f"/v1/conversation/{conversation}"
    for text in ("canary [model status=400 echo]", "canary [model tokens=2]"):
        await api.post(f"{path}/complete", {"text": text}, **{"Idempotency-Key": f"canary {text}"[:20]})
    await api.raw("GET", "/v1/run/canary/fetch?canary=canary")
    await api.post(f"{path}/complete", b'{"canary": ')
    await canary_calls(api)
    made_up = {"model": "canary-of-a-caller", "messages": [{"type": "user", "text": "[model tokens=1]"}]}
    await api.ok("/v1/conversation/complete", made_up)
    last = await api.ok(f"{path}/complete", {"text": "[model tokens=1]"})
    await whole(watched, last["runId"], 4)

    sent = b"".join(watched.collector.bodies)

    assert b"canary" not in sent.lower()
    assert watched.house.key.encode() not in sent
    assert all(span.events == 0 for span in watched.collector.spans())


def test_where_no_collector_is_named_opentelemetry_is_not_even_loaded() -> None:
    code = (
        "import sys, worker, api.__main__, settings\n"
        "from telemetry import Telemetry\n"
        "made = Telemetry(settings.Settings(), 'api')\n"
        "with made.traces.span('x', 'server', None, {}) as span: assert span.traceparent is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"
