"""Logs: JSON lines that name what they are about and hold nobody's words."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import pytest

from domain import at_hand, ids
from domain.errors import ModelRefused
from telemetry.logs import Json, Text, _said
from tests.house import eventually
from tests.http import Api
from tests.telemetry.conftest import Watched, canary_calls

Lines = list[dict[str, Any]]


def lines(watched: Watched, name: str) -> Lines:
    """Every line of a process's log that is written to its end; each must be an object."""
    whole, _, _ = (watched.house.home / "log" / f"{name}.log").read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


async def of(watched: Watched, name: str, **fields: object) -> dict[str, Any]:
    """The line of a process that has these fields, once it is written."""

    async def check() -> dict[str, Any]:
        found = [line for line in lines(watched, name) if fields.items() <= line.items()]
        assert found, fields
        return found[-1]

    return await eventually(check)


async def test_a_line_is_written_for_every_request_with_its_template_status_time_and_ids(
    watched: Watched,
) -> None:
    conversation = await watched.api.conversation()
    path = f"/v1/conversation/{conversation}/complete"
    _, body, headers = await watched.api.post(path, {"text": "[model tokens=2]"})

    line = await of(watched, "api", request_id=headers["X-Request-Id"])

    assert line["message"].startswith("POST /v1/conversation/{conversation}/complete 200 in ")
    assert (line["method"], line["route"]) == ("POST", "/v1/conversation/{conversation}/complete")
    assert (line["status"], line["level"]) == (200, "INFO")
    assert line["ms"] >= 0
    assert (line["run_id"], line["conversation_id"]) == (body["runId"], conversation)
    assert line["ts"].endswith("Z")


async def test_what_a_worker_says_of_a_run_names_it_and_its_conversation(watched: Watched) -> None:
    conversation = await watched.api.conversation()
    path = f"/v1/conversation/{conversation}/complete"
    _, body, _ = await watched.api.post(path, {"text": "[model status=400 echo] canary"})

    line = await of(watched, "worker", run_id=body["runId"], level="WARNING")

    assert line["conversation_id"] == conversation
    assert (line["errors"][0]["type"], line["errors"][0]["code"]) == ("ApplicationError", "MODEL_REFUSED")
    assert any("activities/models.py" in place for place in line["errors"][0]["at"])


async def canaries(watched: Watched) -> str:
    """Words wherever some are taken, and every failure that might repeat them; returns a session's token."""
    house, api, _ = watched
    async with house.api(key="sk-canary-a-wrong-key") as stranger:
        assert (await stranger.get("/v1/bot/list")).status == 401
    bot = (await api.ok("/v1/bot/create", {"name": "canary", "backstory": "You are a canary."}))["id"]
    contact = {"fingerprint": "canary", "nick": "canary", "email": "canary@example.com"}
    conversation = await api.conversation(botId=bot, contactId=contact, meta={"canary": "canary"})
    path = f"/v1/conversation/{conversation}"
    for model in (
        "tokens=2",
        "status=400 echo",
        "failed=1 times=1",
        "tokens=3 nul split",
        "status=429 echo times=1",
    ):
        await api.post(f"{path}/complete", {"text": f"the canary sings [model {model}]"})
    given = [{"type": "user", "text": "canary [model tokens=1]"}]
    await api.stream("/v1/conversation/complete", {"messages": given, "backstory": "canary"})
    for body in (b'{"text": "canary', b"canary", b'{"canary": 1}', b"\xffcanary", b'{"text": ["canary"]}'):
        assert (await api.post(f"{path}/complete", body)).status in (400, 501)
    for odd in ("/v1/run/canary/fetch", "/v1/bot/list?canary=1", "/canary", "/v1/conversation/canary/send"):
        await api.raw("GET", odd, **{"X-Timezone": "Canary/Canary", "Last-Event-ID": "canary"})
    await api.post(f"{path}/complete", {"text": "canary"}, Accept="text/canary", traceparent="canary")
    await secrets(api)
    await api.post(f"{path}/dispatch", {"text": "canary", "channelId": "canary-channel-of-24-characters"})
    await api.post(f"{path}/send", {"text": "canary"}, **{"Idempotency-Key": "canary"})
    await canary_calls(api)
    token: str = (await api.ok(f"{path}/session/create"))["token"]
    for given_up in (token, f"{token}x"):
        async with house.api(key=given_up) as visitor:
            await visitor.post(f"{path}/complete", {"text": "canary [model tokens=1]"})
    house.kill("worker")
    lost = asyncio.create_task(api.post(f"{path}/complete", {"text": "canary [model tokens=2]"}))
    house.start("worker")
    assert (await lost).status == 200
    return token


async def secrets(api: Api) -> None:
    """One that is taken, and values that are not."""
    made = (await api.ok("/v1/secret/create", {"type": "basic", "value": "canary:canary"}))["id"]
    for value in ("canary", "canary:\n", ["canary"], {"canary": 1}):
        assert (await api.post(f"/v1/secret/{made}/update", {"value": value})).status == 400
    await api.ok(f"/v1/secret/{made}/verify")


async def test_no_word_and_no_key_of_anybody_is_in_any_log_whatever_happens(watched: Watched) -> None:
    token = await canaries(watched)

    said = {name: lines(watched, name) for name in ("api", "worker")}

    for name, found in said.items():
        text = json.dumps(found, ensure_ascii=False)
        assert "canary" not in text.lower(), name
        for secret in (
            token,
            watched.house.key,
            watched.house.env["HOLDFAST_SECRET"],
            watched.house.env["HOLDFAST_SECRET_KEYS"],
            watched.house.database_url,
        ):
            assert secret not in text
        assert all({"ts", "level", "logger", "message"} <= {*line} for line in found)
        assert {"DEBUG", "INFO"} <= {line["level"] for line in found}
    assert "uvicorn.error" in {line["logger"] for line in said["api"]}


def logger(form: logging.Formatter) -> tuple[logging.Logger, io.StringIO]:
    """One of that form, and what it writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(_said)
    handler.setFormatter(form)
    made = logging.Logger("asyncio")
    made.addHandler(handler)
    return made, written


def fall(words: str) -> None:
    try:
        raise KeyError(words)
    except KeyError as error:
        raise ModelRefused(words) from error


@pytest.mark.parametrize("form", [Text(), Json()])
def test_an_error_is_told_by_its_type_its_code_and_its_places_and_never_by_its_message(
    form: logging.Formatter,
) -> None:
    log, written = logger(form)
    at_hand.begin(run_id=ids.run())

    try:
        fall("the canary")
    except ModelRefused:
        log.exception("it fell")

    said = written.getvalue()
    assert "canary" not in said
    for word in ("it fell", "ModelRefused", "MODEL_REFUSED", "KeyError", "test_logs.py", "fall", "run_"):
        assert word in said, (word, said)


def test_a_task_nobody_awaited_is_told_without_its_error_words() -> None:
    log, written = logger(Json())

    log.error("Task exception was never retrieved\nfuture: <Task exception=ValueError('the canary')>")

    assert json.loads(written.getvalue())["message"] == "Task exception was never retrieved"


def test_only_what_has_the_shape_of_an_id_is_named() -> None:
    run = ids.run()

    at_hand.begin(run_id=run, conversation_id="the canary", bot_id="bot_1")

    assert at_hand.ids() == {"run_id": run}
