"""Every way a model call goes wrong, by the name it gets, in both wire formats."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest

from activities.providers.failures import MESSAGE_LONGEST
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable
from tests.activities.providers.dialects import Dialect
from tests.activities.providers.recorded import (
    HEAD,
    Ask,
    Play,
    Recorded,
    call,
    eventually,
    joined,
    whole,
)
from tests.model_server import ModelServer


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("status=429", ModelBusy),
        ("status=429 error=rate_limit_exceeded", ModelBusy),
        ("status=429 error=insufficient_quota", ModelRefused),
        ("status=400", ModelRefused),
        ("status=401", ModelRefused),
        ("status=404 error=model_not_found", ModelRefused),
        ("status=408", ModelUnavailable),
        ("status=500", ModelUnavailable),
        ("status=503 error=insufficient_quota", ModelUnavailable),
        ("status=402 error=billing_error", ModelRefused),
        ("status=529", ModelUnavailable),
        ("status=529 error=overloaded_error", ModelUnavailable),
    ],
)
async def test_an_error_status_is_named(ask: Ask, directive: str, error: type[ModelError]) -> None:
    with pytest.raises(ModelError, match="asked to answer") as caught:
        await ask(f"[model {directive}]")
    assert type(caught.value) is error
    assert caught.value.retry_after is None


async def test_a_call_that_was_refused_has_cost_nothing(ask: Ask) -> None:
    with pytest.raises(ModelError) as caught:
        await ask("[model status=500]")

    assert caught.value.usage == Usage()


@pytest.mark.parametrize(("said", "seconds"), [("2", 2), ("0.5", 0.5), ("86400", 60), ("-1", 0)])
@pytest.mark.parametrize("status", [429, 503])
async def test_the_wait_a_server_asks_for_is_told_up_to_a_minute(
    ask: Ask, status: int, said: str, seconds: float
) -> None:
    with pytest.raises(ModelError) as caught:
        await ask(f"[model status={status} retry_after={said}]")
    assert caught.value.retry_after == seconds


async def test_the_wait_may_be_a_date_and_nonsense_is_no_wait(play: Play, recorded: Recorded) -> None:
    async def wait(said: str) -> float | None:
        with pytest.raises(ModelBusy) as caught:
            await answered(recorded, play, f"429 Slow\r\nRetry-After: {said}", b"")
        return caught.value.retry_after

    assert (
        20 <= (await wait(format_datetime(datetime.now(UTC) + timedelta(seconds=25), usegmt=True)) or 0) <= 25
    )
    far = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
    assert [await wait(said) for said in ("soon", "nan", "", "Mon, 99 Foo 2026", far)] == [None] * 5


async def answered(recorded: Recorded, play: Play, status: str, body: bytes) -> tuple[list[Token], Finish]:
    """Ask a server that answers with this status line, further headers and body."""
    asked = play(b"")
    recorded.pieces = [
        f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    ]
    return await asked


async def test_a_call_refused_once_works_the_next_time(ask: Ask, model: ModelServer) -> None:
    model.reset()
    prompt = "[model status=429 times=2 key=a tokens=1]"
    for _ in range(2):
        with pytest.raises(ModelBusy):
            await ask(prompt)
    assert joined((await ask(prompt))[0]) == "t1"
    assert [(seen.key, seen.finished) for seen in model.calls] == [("a", True)] * 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": {"message": "no\\u0000 such\\r\\n  model\\u202e \\ud800"}}', r"\(400\): no such model$"),
        (b'{"error": "in words"}', r"\(400\): in words$"),
        (b'{"detail": "of FastAPI"}', r"\(400\): of FastAPI$"),
        (b'{"error": {"message": "spent", "details": {"error_code": {}}}}', r"\(400\): spent$"),
        (b'{"error": {"message": "key sk-secret-0123456789 is bad"}}', r"\(400\): key … is bad$"),
        (b'{"error": {"message": ["a"], "code": {}}}', r"\(400\)\.$"),
        (b"[]", r"\(400\)\.$"),
        (b"<html>", r"\(400\)\.$"),
        (b"", r"\(400\)\.$"),
        (b"[" * 100_000, r"\(400\)\.$"),
    ],
)
async def test_the_words_of_a_refusal_are_passed_on_clean(
    play: Play, recorded: Recorded, body: bytes, says: str
) -> None:
    with pytest.raises(ModelRefused, match=says):
        await answered(recorded, play, "400 Bad", body)


async def test_the_words_of_a_refusal_are_short(play: Play, recorded: Recorded) -> None:
    with pytest.raises(ModelRefused) as caught:
        await answered(recorded, play, "400 Bad", json.dumps({"error": {"message": "x" * 60_000}}).encode())
    assert len(caught.value.message) == MESSAGE_LONGEST


async def test_a_redirect_is_not_followed(play: Play, recorded: Recorded) -> None:
    with pytest.raises(ModelRefused, match="redirects"):
        await answered(recorded, play, "307 Elsewhere\r\nLocation: http://127.0.0.1:1/", b"")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
async def test_a_server_that_is_not_there_is_unavailable(
    dialect: Dialect, session: aiohttp.ClientSession, url: str
) -> None:
    with pytest.raises(ModelUnavailable, match="could not be reached"):
        await whole(dialect.provider(session, url).stream(call("hi")))


async def test_a_base_url_that_is_none_is_refused(dialect: Dialect, session: aiohttp.ClientSession) -> None:
    with pytest.raises(ModelRefused, match="base URL"):
        await whole(dialect.provider(session, "nonsense").stream(call("hi")))


async def test_a_reset_before_the_answer_is_unavailable(ask: Ask) -> None:
    with pytest.raises(ModelUnavailable):
        await ask("[model reset]")


@pytest.mark.parametrize("directive", ["first=60000 tokens=1", "stall=0", "stall=10 tokens=20"])
async def test_silence_is_cut_after_the_idle_time(ask: Ask, model: ModelServer, directive: str) -> None:
    model.reset()
    with pytest.raises(ModelUnavailable, match=r"silent for 0\.3 s"):
        await ask(f"[model {directive}]")
    await eventually(lambda: model.calls[0].closed_by_client)


async def test_a_server_that_accepts_and_says_nothing_is_unavailable(
    dialect: Dialect, session: aiohttp.ClientSession
) -> None:
    release = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ModelUnavailable, match="silent"):
            await whole(dialect.provider(session, url).stream(call("hi")))
        release.set()


async def test_a_slow_answer_is_not_silence(ask: Ask) -> None:
    tokens, _ = await ask("[model tokens=5 delay=100]")
    assert len(tokens) == 5


@pytest.mark.parametrize(
    ("directive", "says"),
    [
        ("cut=10 tokens=20", "cut short"),
        ("cut=20 tokens=20", "cut short"),
        ("cut=21 tokens=20", "cut short"),
        ("cut", "cut short"),
        ("end=10 tokens=20", "without its end marker"),
        ("end=0", "without its end marker"),
        ("garbage=5 tokens=20", "not JSON"),
        ("html", "text/html"),
        ("tokens=1 finish=tool_calls", "named none"),
    ],
)
async def test_an_answer_that_does_not_come_whole_is_broken(ask: Ask, directive: str, says: str) -> None:
    with pytest.raises(ModelBroken, match=says):
        await ask(f"[model {directive}]")


async def test_a_reset_within_the_answer_is_retryable(ask: Ask) -> None:
    with pytest.raises((ModelBroken, ModelUnavailable)):
        await ask("[model reset=5 tokens=20]")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked") + b"xyz\r\n",
        HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked") + b"8\r\n: hello\n\r\nxyz\r\n",
        HEAD.replace(b"Connection: close", b"Content-Encoding: gzip\r\nConnection: close") + b"not gzip",
    ],
)
async def test_what_is_not_an_event_stream_over_http_is_broken(
    play: Play, recorded: Recorded, raw: bytes
) -> None:
    asked = play(b"")
    recorded.pieces = [raw]
    with pytest.raises(ModelBroken):
        await asked


@pytest.mark.parametrize("code", ["enforced_spend_limit_reached", "contract_spend_limit_reached"])
async def test_a_spent_account_is_refused_although_it_is_a_429(
    play: Play, recorded: Recorded, code: str
) -> None:
    error = {"type": "rate_limit_error", "message": "no more", "details": {"error_code": code}}
    with pytest.raises(ModelRefused, match="no more"):
        await answered(recorded, play, "429 Slow", json.dumps({"type": "error", "error": error}).encode())
