"""A call of a tool: what is sent, what comes back, and what is said of what does not."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import time
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from activities.outbound.client import Outbound
from activities.outbound.guarded import Bounds
from domain.errors import ToolUnavailable
from domain.outgoing import Fetched, Outgoing
from domain.secret import Revealed, SecretType, forms
from tests.house import eventually
from tests.tool_server import ToolServer

KEPT = Bounds().kept_bytes


def get(url: str, **fields: Any) -> Outgoing:
    return Outgoing(method="GET", url=url, **fields)


async def failed(client: Outbound, outgoing: Outgoing) -> ToolUnavailable:
    with pytest.raises(ToolUnavailable) as caught:
        await client.call(outgoing, "key")
    assert caught.value.message.endswith(".")
    return caught.value


async def test_what_is_sent_is_what_was_made_with_a_key_and_a_name(
    outbound: Outbound, tools: ToolServer
) -> None:
    sent = Outgoing(
        method="POST",
        url=f"{tools.url}/echo/a%2Fb/made?q=%26%20%C3%BC&q=",
        headers=(("Content-Type", "application/json"), ("X-One", "1, 2")),
        body='{"a":"ü"}'.encode(),
    )

    fetched = await outbound.call(sent, "run_1/7")

    told = fetched.body
    headers = told.pop("headers")
    assert (fetched.status, fetched.content_type, fetched.cut) == (200, "application/json", False)
    assert told == {
        "method": "POST",
        "path": "/echo/a%2Fb/made",
        "query": "q=%26%20%C3%BC&q=",
        "body": '{"a":"ü"}',
    }
    assert headers == {
        "host": tools.url.removeprefix("http://"),
        "content-type": "application/json",
        "x-one": "1, 2",
        "idempotency-key": "run_1/7",
        "user-agent": "Holdfast",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "content-length": "10",
        "connection": "close",
    }
    assert tools.calls["made"].keys == {"run_1/7": 1}


async def test_an_instruction_may_name_its_own_agent(outbound: Outbound, tools: ToolServer) -> None:
    fetched = await outbound.call(get(f"{tools.url}/echo/agent", headers=(("user-agent", "mine"),)), "key")

    assert fetched.body["headers"]["user-agent"] == "mine"


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 429, 500, 503])
async def test_every_status_is_an_answer(outbound: Outbound, tools: ToolServer, status: int) -> None:
    fetched = await outbound.call(get(f"{tools.url}/status={status}/text=no/any"), "key")

    assert fetched.status == status
    assert fetched.body == ("" if status in (204, 304) else "no")


async def test_a_redirect_is_told_and_not_followed(outbound: Outbound, tools: ToolServer) -> None:
    fetched = await outbound.call(get(f"{tools.url}/redirect/there"), "key")

    assert (fetched.status, fetched.location, fetched.body) == (302, "/echo/redirected", "over there")
    assert "redirected" not in tools.calls


async def test_no_cookie_is_kept(outbound: Outbound, tools: ToolServer) -> None:
    here = tools.url.replace("127.0.0.1", "localhost")

    assert (await outbound.call(get(f"{here}/cookie/jar"), "key")).body == "keep it"
    assert "cookie" not in (await outbound.call(get(f"{here}/echo/jar"), "key")).body["headers"]


async def test_no_proxy_of_the_environment_is_used(
    tools: ToolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async with Outbound(loopback=True) as client:
        assert (await client.call(get(f"{tools.url}/text=direct/proxy"), "key")).body == "direct"


async def test_each_call_has_its_own_connection_and_none_stays(outbound: Outbound, tools: ToolServer) -> None:
    port = int(tools.url.rpartition(":")[2])
    await asyncio.gather(*(outbound.call(get(f"{tools.url}/text=x/many"), "key") for _ in range(20)))

    async def gone() -> None:
        ours = psutil.Process(os.getpid()).net_connections()
        assert [
            one for one in ours if one.raddr and one.raddr.port == port and one.status == "ESTABLISHED"
        ] == []

    await eventually(gone)


async def test_no_more_than_a_part_of_a_large_answer_is_kept_and_the_cut_is_told(
    outbound: Outbound, tools: ToolServer
) -> None:
    exact = await outbound.call(get(f"{tools.url}/bytes={KEPT}/sizes"), "key")
    longer = await outbound.call(get(f"{tools.url}/bytes={KEPT + 1}/sizes"), "key")
    endless = await outbound.call(get(f"{tools.url}/huge/sizes"), "key")

    assert [len(one.body) for one in (exact, longer, endless)] == [KEPT] * 3
    assert [one.cut for one in (exact, longer, endless)] == [False, True, True]


async def test_a_bomb_is_unpacked_no_further_than_what_is_kept(outbound: Outbound, tools: ToolServer) -> None:
    before = psutil.Process(os.getpid()).memory_info().rss
    fetched = await outbound.call(get(f"{tools.url}/bomb=512/bombs"), "key")
    after = psutil.Process(os.getpid()).memory_info().rss

    assert (len(fetched.body), fetched.cut) == (KEPT, True)
    # The server of the tests, in this process, holds half a megabyte of it.
    assert after - before < 64 * 1_048_576


@pytest.mark.parametrize("fault", ["drip=20", "hang", "stall", "slow=60000"])
async def test_a_server_that_takes_its_time_has_no_more_than_there_is(
    hasty: Outbound, tools: ToolServer, fault: str
) -> None:
    began = time.monotonic()

    error = await failed(hasty, get(f"{tools.url}/{fault}/late"))

    assert time.monotonic() - began < 60
    assert error.sent
    assert "within 2 s" in error.message
    assert "not known" in error.message


@pytest.mark.parametrize(("fault", "executed"), [("early", 0), ("late", 1), ("cut", 1)])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_broken_connection_leaves_the_outcome_unknown_and_is_not_tried_again(
    outbound: Outbound, tools: ToolServer, fault: str, executed: int, method: str
) -> None:
    name = f"{fault}-{method}"

    error = await failed(outbound, Outgoing(method=method, url=f"{tools.url}/{fault}/{name}"))

    assert error.sent
    assert error.retryable
    assert (tools.calls[name].seen, tools.calls[name].executed) == (1, executed)


async def test_a_refused_connection_surely_sent_nothing(outbound: Outbound) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failed(outbound, get(f"http://127.0.0.1:{taken.getsockname()[1]}/"))

    assert not error.sent
    assert "was not sent" in error.message


async def test_a_connection_that_does_not_come_in_time_surely_sent_nothing(hasty: Outbound) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))

        error = await failed(hasty, get(f"http://127.0.0.1:{port}/"))

        for one in waiting:
            one.close()
    assert not error.sent
    assert "could not be connected to in time" in error.message


async def test_tls_that_fails_surely_sent_nothing(outbound: Outbound, tools: ToolServer) -> None:
    error = await failed(outbound, get(tools.url.replace("http:", "https:") + "/text=x/tls"))

    assert not error.sent
    assert "TLS" in error.message
    assert "tls" not in tools.calls


async def test_what_is_not_http_is_not_read_as_it(outbound: Outbound) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        error = await failed(outbound, get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))

    assert error.sent
    assert "proper HTTP" in error.message


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("nul", "text/plain", "a\ufffdb\ufffd\ufffd\ufffd\ufffdc"),
        ("latin", "text/plain", "café"),
        ("invalid", "application/json", '{"half": '),
        ("empty", "text/plain", ""),
        ("binary", "image/png", "(binary, not shown: image/png, 264 bytes)"),
        ("binary/type=nonsense", "", "(binary, not shown: no type given, 264 bytes)"),
        ("text=ok/type=application,octet-stream", "application/octet-stream", "ok"),
        ("text=ok/type=nonsense", "", "ok"),
        ("text=ok/type=application,problem+json", "application/problem+json", "ok"),
        ("text=ok/type=application,zip", "application/zip", "(binary, not shown: application/zip, 2 bytes)"),
        ("text=%C3%A9/type=text,html;charset=punycode", "text/html", "é"),
        ("text=%C3%A9/type=text,html;charset=nonsense", "text/html", "é"),
        ("text=%C3%A9/type=text,html;charset=zlib", "text/html", "é"),
        ("text=%C3%A9+AGE-/type=text,html;charset=utf-7", "text/html", "é+AGE-"),
        ("text=ok/type=text,plain;charset=windows-1252", "text/plain", "ok"),
        ("text=nomark/type=text,plain;charset=utf-16", "text/plain", "nomark"),
        ("text=nomark/type=text,plain;charset=utf-32", "text/plain", "nomark"),
        ("text=ok/type=text,plain;charset=mbcs", "text/plain", "ok"),
    ],
)
async def test_an_answer_is_text_that_can_be_stored_or_says_what_it_is(
    outbound: Outbound, tools: ToolServer, path: str, kind: str, text: str
) -> None:
    fetched = await outbound.call(get(f"{tools.url}/{path}/texts"), "key")

    assert fetched == Fetched(status=200, content_type=kind, body=text, cut=False)


async def test_a_character_that_is_half_there_at_the_cut_is_left_out(tools: ToolServer) -> None:
    async with Outbound(loopback=True, bounds=Bounds(kept_bytes=4)) as client:
        fetched = await client.call(get(f"{tools.url}/text=abc%C3%A9/halves"), "key")

    assert (fetched.body, fetched.cut) == ("abc", True)


BASIC = base64.b64encode("us€r:päss/w+rd ?".encode()).decode()


@pytest.mark.parametrize(
    "secret",
    [
        ("plain", 's3cr"t/+x', 's3cr"t/+x'),
        ("plain", "Token s3cr\\t%2F&amp;", "Token s3cr\\t%2F&amp;"),
        ("bearer", "s3crt.+/=", "Bearer s3crt.+/="),
        ("basic", "us€r:päss/w+rd ?", f"Basic {BASIC}"),
        ("basic", "s3crt-key:", f"Basic {base64.b64encode(b's3crt-key:').decode()}"),
    ],
)
@pytest.mark.parametrize("kind", ["application,json", "text,plain"])
async def test_a_secret_that_the_server_repeats_is_taken_out(
    outbound: Outbound, tools: ToolServer, kind: str, secret: tuple[SecretType, str, str]
) -> None:
    type_, value, sent = secret
    secrets = forms(Revealed(type=type_, value=SecretStr(value)))
    outgoing = get(
        f"{tools.url}/status=302/type={kind}/repeat/secrets",
        headers=(("Authorization", sent),),
        secrets=secrets,
    )

    fetched = await outbound.call(outgoing, "key")

    assert isinstance(fetched.body, dict if kind.endswith("json") else str)
    told = json.dumps([fetched.body, fetched.location], ensure_ascii=False)
    assert told.count("…") >= 10
    for trace in ("s3cr", "rd ?", "w+rd", "ss/w", BASIC[:8], BASIC[-8:-2], "\\\\u0073", "%2F", "&#"):
        assert trace not in told
    assert fetched.location.startswith("/there?token=…")


async def test_half_a_secret_at_the_end_of_what_is_kept_is_taken_out(tools: ToolServer) -> None:
    async with Outbound(loopback=True, bounds=Bounds(kept_bytes=10)) as client:
        cut = await client.call(
            get(f"{tools.url}/text=abcde0123456789/secrets", secrets=("0123456789",)), "key"
        )

    assert (cut.body, cut.cut) == ("abcde…", True)


async def test_the_tools_of_the_tests_go_well_after_so_many_faults(
    outbound: Outbound, tools: ToolServer
) -> None:
    url = f"{tools.url}/times=2/status=503/flaky"

    assert [(await outbound.call(get(url), f"key{n}")).status for n in range(3)] == [503, 503, 200]
    told = (await outbound.call(get(f"{tools.url}/calls"), "key")).body
    assert told["flaky"]["executed"] == 3
    assert told["flaky"]["keys"] == {"key0": 1, "key1": 1, "key2": 1}
