"""Bytes that are no proper request: answered with a clear 4xx, or not at all, and nobody else notices."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress

import pytest
from pydantic import ValidationError

from api.protocol import LINGER, SPARE
from settings import Settings
from tests.api.conftest import BOUNDS, Fort
from tests.api.wrong import H2, HELLO, LARGE, LIVE, NO_HTTP, TOO_LARGE, chunked, get, hosted, post
from tests.house import eventually
from tests.raw import Answer, Clock, ask, line, lines
from tests.tenant import Tenant


@pytest.mark.parametrize("request_", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_proper_http_is_a_400_that_says_why_and_ends_the_connection(
    fort: Fort, request_: bytes
) -> None:
    async with line(fort.port) as client:
        await client.send(request_)
        answer = await client.answer()
        assert answer is not None
        assert (answer.status, answer.body["code"]) == (400, "BAD_REQUEST")
        assert answer.body.keys() == {"message", "code", "requestId"}
        assert answer.body["message"].endswith(".")
        assert answer.headers["connection"] == "close"
        assert await client.closed() == b""


@pytest.mark.parametrize(("status", "pieces"), TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_head_beyond_the_limit_is_refused_by_the_name_of_the_limit(
    fort: Fort, status: int, pieces: list[bytes]
) -> None:
    answer = await ask(fort.port, *pieces)

    assert answer is not None
    assert (answer.status, answer.body["code"]) == (status, "CONTENT_TOO_LARGE")
    assert f"{LARGE} bytes (HOLDFAST_HEADER_BYTES)" in answer.body["message"]


async def test_a_head_just_below_the_limit_is_heard(fort: Fort) -> None:
    short = get(b"/health/live", b"A: ")

    answer = await ask(fort.port, get(b"/health/live", b"A: " + b"a" * (LARGE - len(short))))

    assert answer is not None
    assert answer.status == 200


PATIENT = {"HOLDFAST_RECEIVE_SECONDS": "30"}
"""A crowd that says nothing is inside until all of it is: no machine is too slow for that."""
UNWANTED = {
    "a body that says it is too large": (413, [b"Content-Length: 10000000"], b"x" * 65_536),
    "more than the largest length": (413, [b"Content-Length: 18446744073709551615"], b"x" * 65_536),
    "chunks without end": (413, [b"Transfer-Encoding: chunked"], b"8000\r\n" + b" " * 0x8000 + b"\r\n"),
    "a body compressed on its way": (415, [b"Transfer-Encoding: gzip, chunked"], b"2\r\n{}\r\n"),
    "a body in an unknown coding": (415, [b"Transfer-Encoding: nonsense"], b"2\r\n{}\r\n"),
}


async def test_a_body_nobody_wants_is_refused_while_it_comes_and_is_not_read_to_its_end(fort: Fort) -> None:
    async def offer(name: str) -> None:
        status, headers, piece = UNWANTED[name]
        async with line(fort.port) as client:
            await client.send(post(fort.key, *headers), *[piece] * 20)
            clock, answer = Clock(), await client.answer()
            assert answer is not None, name
            assert (answer.status, answer.headers["connection"]) == (status, "close"), name
            # However much would come.
            await client.send(*[piece] * 5_000, pause=0.01)
            await client.closed()
            clock.read(0, LINGER)

    await asyncio.gather(*(offer(name) for name in UNWANTED))


@pytest.mark.parametrize(
    "wrong", [b"Content-Encoding: gzip", b"Content-Encoding: br", b"Content-Type: text/plain"]
)
async def test_a_body_that_is_no_plain_json_is_refused(fort: Fort, wrong: bytes) -> None:
    body = gzip.compress(b'{"name": "x"}')
    request = post(fort.key, wrong, b"Content-Length: %d" % len(body), body=body)
    if wrong.startswith(b"Content-Type"):
        request = request.replace(b"Content-Type: application/json\r\n", b"")

    answer = await ask(fort.port, request)

    assert answer is not None
    assert (answer.status, answer.body["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_client_that_asks_before_it_sends_is_refused_before_it_sends(fort: Fort) -> None:
    patient = (b"Expect: 100-continue", b"Content-Length: 10000000")

    async with line(fort.port) as client:
        await client.send(post(*patient, fort.key))
        assert await client.status() == 413
    async with line(fort.port) as client:
        await client.send(post(*patient))
        assert await client.status() == 401


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(fort: Fort) -> None:
    async with line(fort.port) as client:
        await client.send(post(b"Expect: 100-continue", b"Content-Length: 2", fort.key))
        assert await client.status() == 100
        await client.send(b"{}")
        assert await client.status() == 200


async def test_chunks_with_extensions_and_trailers_are_one_body(fort: Fort) -> None:
    body = b'9;a=b;c="d"\r\n{"name": \r\n4\r\n"x"}\r\n0\r\nA: b\r\n\r\n'

    answer = await ask(fort.port, post(b"Transfer-Encoding: chunked", fort.key, body=body))

    assert answer is not None
    assert answer.status == 200


async def test_a_trailer_is_no_header(fort: Fort) -> None:
    answer = await ask(fort.port, chunked(b"2\r\n{}\r\n0\r\n" + fort.key + b"\r\n\r\n"))

    assert answer is not None
    assert answer.status == 401


PATHS = {
    "/v1/bot/%00/fetch": 404,
    "/v1/bot/..%2f..%2fetc%2fpasswd/fetch": 404,
    "/v1/bot/%2e%2e/fetch": 404,
    "/v1/../../etc/passwd": 404,
    "/v1/%2e%2e/health/live": 404,
    "//etc/passwd": 404,
    "/v1/bot/%ff%fe/fetch": 404,
    "/v1/bot/%ed%a0%80/fetch": 404,
    "/v1/bot/%/fetch": 404,
    "/v1/bot/%zz/fetch": 404,
    "/v1/bot/list/": 404,
    "/v1//bot/list": 404,
    "/v1/bot/list;a=b": 404,
    "/V1/bot/list": 404,
    "/v1/bot/list?%00=1": 400,
    "/v1/bot/list?meta.a=%00": 400,
    "/v1/bot/list?%ff=%fe": 400,
    "/v1/bot/list?cursor=%ed%a0%80": 200,
    "/v1/bot/list?" + "&" * 3_000: 200,
    "/v1/bot/list#?order=nonsense": 200,
    "http://elsewhere/v1/bot/list": 200,
    "http://user:word@elsewhere:1/v1/bot/list": 200,
}


@pytest.mark.parametrize("target", PATHS)
async def test_a_path_leads_to_what_it_names_or_nowhere(fort: Fort, target: str) -> None:
    answer = await ask(fort.port, get(target.encode(), fort.key))

    assert answer is not None
    assert answer.status == PATHS[target], answer.raw


@pytest.mark.parametrize(
    "header",
    [b"Authorization", b"Accept", b"Content-Type", b"Idempotency-Key", b"X-Timezone", b"Cookie", b"X-Any"],
)
async def test_bytes_beyond_ascii_in_a_header_are_refused_or_passed_over(fort: Fort, header: bytes) -> None:
    for bad in (b"\xff\xfe", b"\xc3\xa9", b"\xed\xa0\x80", "\u202e".encode()):
        headers = [header + b": " + bad]
        if header != b"Authorization":
            headers.append(fort.key)
        answer = await ask(fort.port, post(*headers, b"Content-Length: 2", body=b"{}"))
        assert answer is not None
        assert answer.status in (200, 400, 401, 415), answer.raw


@pytest.mark.parametrize("other", [b"websocket", b"h2c", b"TLS/1.0", b"nonsense"])
async def test_an_upgrade_is_passed_over(fort: Fort, other: bytes) -> None:
    async with line(fort.port) as client:
        wish = (b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk", b"Upgrade: " + other)
        await client.send(get(b"/health/live", *wish), LIVE)
        for _ in range(2):
            answer = await client.answer()
            assert answer is not None
            assert answer.status == 200
        await client.send(H2)
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 400


async def test_http_1_0_is_answered_and_closed(fort: Fort) -> None:
    async with line(fort.port) as client:
        await client.send(b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 200
        assert await client.closed() == b""


async def test_head_is_get_without_a_body(fort: Fort) -> None:
    async with line(fort.port) as client:
        for target in (b"/health/live", b"/v1/bot/list"):
            plain, bare = get(target, fort.key), get(target, fort.key).replace(b"GET", b"HEAD")
            await client.send(plain)
            whole = await client.answer()
            await client.send(bare)
            head = await client.answer(bodyless=True)
            assert whole is not None
            assert head is not None
            assert (head.status, head.headers["content-length"]) == (200, str(len(whole.raw)))
            assert head.headers.keys() == whole.headers.keys()
        await client.send(post().replace(b"POST", b"HEAD"))
        head = await client.answer(bodyless=True)
        assert head is not None
        assert (head.status, head.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("verb", [b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND", b"POST"])
async def test_a_verb_that_is_not_served_is_a_405_that_names_the_one_that_is(fort: Fort, verb: bytes) -> None:
    answer = await ask(fort.port, get(b"/v1/bot/list", fort.key).replace(b"GET", verb))

    assert answer is not None
    assert (answer.status, answer.body["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in answer.headers["allow"]


async def answers(fort: Fort, *pieces: bytes) -> list[Answer]:
    """All answers on one connection, until it is closed."""
    found = []
    async with line(fort.port) as client:
        await client.send(*pieces)
        while (answer := await client.answer()) is not None:
            found.append(answer)
    return found


async def test_requests_sent_ahead_are_answered_in_their_order(fort: Fort) -> None:
    asked = [LIVE, get(b"/v1/bot/list"), get(b"/v1/bot/list", fort.key), LIVE]

    assert [answer.status for answer in await answers(fort, b"".join(asked))] == [200, 401, 200, 200]


async def test_of_too_many_requests_sent_ahead_the_first_are_answered(fort: Fort) -> None:
    found = await answers(fort, LIVE * 5_000)

    assert 1 <= len(found) <= 17
    assert {answer.status for answer in found} == {200}


@pytest.mark.parametrize(
    "rest", [b"nonsense\r\n\r\n", HELLO, b"GET /" + b"a" * 9_000, hosted()], ids=range(4)
)
async def test_what_comes_after_a_request_does_not_spoil_its_answer(fort: Fort, rest: bytes) -> None:
    found = await answers(fort, get(b"/v1/bot/list", fort.key) + rest)

    assert [answer.status for answer in found] == [200]


async def test_nothing_is_heard_after_a_client_said_it_would_close(fort: Fort) -> None:
    found = await answers(fort, get(b"/health/live", b"Connection: close") + LIVE)

    assert [answer.status for answer in found] == [200]


@pytest.mark.parametrize("body", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_no_failure(
    fort: Fort, body: bytes
) -> None:
    for path in (b"/v1/bot/create", b"/v1/conversation/complete", b"/health/live"):
        async with line(fort.port) as client:
            await client.send(post(body, fort.key, body=b'9\r\n{"name', path=path))
            client.reset()


async def test_who_hangs_up_with_requests_behind_a_stream_leaves_nothing_running(fort: Fort) -> None:
    listen = post(b"Accept: text/event-stream", fort.key, path=b"/v1/channel/channel-nobody-makes/subscribe")

    async with line(fort.port) as client:
        await client.send(listen + LIVE + LIVE)
        assert await client.status() == 200
        client.reset()
    # That nothing is left running is seen when the process ends, in conftest.


async def test_a_full_server_says_so_at_once_and_still_says_that_it_lives(fort: Fort) -> None:
    most = int(BOUNDS["HOLDFAST_CONNECTIONS"])
    await fort.empty()

    async def all_in() -> None:
        assert fort.connected() >= most

    async with lines(fort.port, most) as inside:
        await eventually(all_in)
        refused = await ask(fort.port, get(b"/v1/bot/list", fort.key))
        alive = await ask(fort.port, LIVE)
        await inside[0].send(LIVE)
        before = await inside[0].answer()
    assert refused is not None
    assert alive is not None
    assert before is not None
    assert (refused.status, refused.body["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert f"{most} connections (HOLDFAST_CONNECTIONS)" in refused.body["message"]
    assert refused.headers["retry-after"] == "1"
    assert (alive.status, alive.headers["connection"]) == (200, "close")
    assert before.status == 200
    await fort.empty()


async def test_beyond_a_crowd_that_is_told_so_nobody_is_let_in(fort: Fort) -> None:
    async def flooded() -> None:
        await fort.empty()
        async with lines(fort.port, int(BOUNDS["HOLDFAST_CONNECTIONS"]) + SPARE):
            clock = Clock()
            with suppress(ConnectionResetError):
                async with line(fort.port) as one_more:
                    await one_more.closed()
            # Sooner than for its silence: that is, while all the others were inside.
            clock.read(0, 0)

    await eventually(flooded)
    await fort.empty()


async def test_where_a_call_comes_from_is_what_a_trusted_proxy_says_and_never_words(
    fort: Fort, tenant: Tenant
) -> None:
    told = []
    for name, said in (("api", "192.0.2.7"), ("api2", "192.0.2.7"), ("api2", "words of a client")):
        async with fort.house.api(name, tenant.api.key) as api:
            await api.ok("/v1/bot/create", **{"X-Forwarded-For": said})
        told.append((await tenant.acts("bot.create"))[-1]["meta"].get("address"))

    assert told == ["127.0.0.1", "192.0.2.7", None]


@pytest.mark.parametrize("given", ["*", "a word", "10.0.0.1/8", "127.0.0.1,", "127.0.0.1;::1"])
def test_a_proxy_is_trusted_by_its_address_or_network_and_by_nothing_else(given: str) -> None:
    with pytest.raises(ValidationError):
        Settings(HOLDFAST_TRUSTED_PROXIES=given)
