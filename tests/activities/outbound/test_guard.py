"""What is not called, in whatever form it is written and behind whatever name it hides."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from activities.outbound.client import Outbound
from activities.outbound.dialling import Blocked, opened
from activities.outbound.guarded import Bounds
from domain.addresses import is_allowed
from domain.errors import ToolBlocked, ToolUnavailable
from domain.outgoing import Outgoing
from tests.house import eventually
from tests.tool_server import ToolServer

PUBLIC = """
1.1.1.1 8.8.8.8 93.184.215.14 172.15.255.255 172.32.0.1 100.63.255.255
2606:4700::1111 2a00:1450:4001:812::200e 2001:4860:4860::8888
"""
DENIED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::a9fe:a9fe
64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1
fe80::1%eth0 2606:4700::1111%eth0 fec0::1 ff02::1
"""
NO_ADDRESS = ["", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.1.1.1 ", "[::1]"]
OWN = ["127.0.0.1", "127.255.255.254", "::1"]

URLS = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://0/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://192.168.0.1:8080/",
    "http://255.255.255.255/",
    "http://localhost/",
    "file:///etc/passwd",
    "ftp://1.1.1.1/",
    "gopher://1.1.1.1:1024/",
    "http://user@1.1.1.1/",
    "http://user:password@1.1.1.1/",
    "http://1.1.1.1:22/",
    "http://1.1.1.1:25/",
    "http://1.1.1.1:0/",
    "http:///path",
    "//1.1.1.1/",
    "http://[::1/",
    "http://1.1.1.1/ü",
    "http://1.1.1.1/a b",
    "http://1.1.1.1/ HTTP/1.1\r\nHost: x\r\n",
]


def get(url: str) -> Outgoing:
    return Outgoing(method="GET", url=url)


@asynccontextmanager
async def naming(
    *answers: Sequence[str], loopback: bool = False
) -> AsyncIterator[tuple[Outbound, list[str]]]:
    """A client whose names have these addresses, one answer after the other; and the names it asked for."""
    asked: list[str] = []

    def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async with Outbound(loopback=loopback, lookup=lookup) as client:
        yield client, asked


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_called(address: str) -> None:
    assert is_allowed(address, loopback=False)
    assert is_allowed(address, loopback=True)


@pytest.mark.parametrize("address", DENIED.split() + NO_ADDRESS)
def test_special_addresses_are_not_called(address: str) -> None:
    assert not is_allowed(address, loopback=False)
    assert is_allowed(address, loopback=True) is (
        (address.startswith("127.") and address != "127.1") or address == "::1"
    )


@pytest.mark.parametrize("url", URLS)
async def test_no_form_of_a_forbidden_address_is_called(guarded: Outbound, url: str) -> None:
    with pytest.raises(ToolBlocked) as caught:
        await guarded.call(get(url), "key")

    assert not caught.value.retryable
    assert caught.value.message.endswith(".")


async def test_a_name_is_called_only_if_all_its_addresses_may_be() -> None:
    for answer in (
        ["10.0.0.1"],
        ["1.1.1.1", "10.0.0.1"],
        ["2606:4700::1111", "::ffff:127.0.0.1"],
        ["fe80::1%lo"],
    ):
        async with naming(answer) as (client, asked):
            with pytest.raises(ToolBlocked) as caught:
                await client.call(get("http://tools.example/"), "key")
            assert asked == ["tools.example"]
            assert answer[-1] not in caught.value.message


async def test_a_name_that_changes_its_address_between_calls_is_looked_at_each_time(
    tools: ToolServer,
) -> None:
    port = tools.url.rpartition(":")[2]
    async with naming(["127.0.0.1"], ["10.0.0.1"], loopback=True) as (client, asked):
        first = await client.call(get(f"http://tools.example:{port}/text=hi/rebound"), "key")
        with pytest.raises(ToolBlocked):
            await client.call(get(f"http://tools.example:{port}/text=hi/rebound"), "key")

    assert first.body == "hi"
    assert asked == ["tools.example", "tools.example"], "one look a call, and what it saw is dialled"
    assert tools.calls["rebound"].requests[0]["headers"]["host"] == f"tools.example:{port}"


def test_the_socket_itself_refuses_an_address_that_no_name_was_asked_for() -> None:
    with pytest.raises(Blocked):
        opened(False, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80)))
    opened(False, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))).close()


async def test_loopback_is_open_only_where_it_is_allowed_and_opens_nothing_else(
    outbound: Outbound, guarded: Outbound, tools: ToolServer
) -> None:
    here = f"{tools.url}/text=hi/loop"

    assert (await outbound.call(get(here), "key")).body == "hi"
    assert (await outbound.call(get(here.replace("127.0.0.1", "localhost")), "key")).body == "hi"
    with pytest.raises(ToolBlocked):
        await guarded.call(get(here), "key")
    for url in (
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0:8080/",
    ):
        with pytest.raises(ToolBlocked):
            await outbound.call(get(url), "key")
    assert tools.calls["loop"].executed == 2


async def test_a_name_without_addresses_is_no_server_and_surely_nothing_was_sent() -> None:
    async with naming([]) as (client, _):
        with pytest.raises(ToolUnavailable) as caught:
            await client.call(get("http://nothing.example/"), "key")
    assert not caught.value.sent

    async with Outbound(loopback=False, lookup=_fails) as client:
        for host in ("nothing.example", "a" * 64 + ".example", "a..example"):
            with pytest.raises(ToolUnavailable) as caught:
                await client.call(get(f"http://{host}/"), "key")
            assert (caught.value.sent, caught.value.retryable) == (False, True)


def _fails(host: str) -> Sequence[str]:
    return [str(socket.getaddrinfo(host.encode("idna"), None, flags=socket.AI_NUMERICHOST))]


async def test_names_that_are_slow_to_look_up_hold_up_no_other_work() -> None:
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(host: str) -> Sequence[str]:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(30)
        raise OSError(host)

    async with Outbound(loopback=False, lookup=slow) as client:
        calls = [asyncio.create_task(client.call(get("http://slow.example/"), "key")) for _ in range(40)]
        async with asyncio.timeout(20):
            assert await loop.getaddrinfo("127.0.0.1", 80)
        held.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in ended} == {ToolUnavailable}


async def test_names_that_are_slow_to_look_up_hold_up_no_other_name(tools: ToolServer) -> None:
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        if host.endswith("quick.example"):
            return ["127.0.0.1"]
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(30)
        raise OSError(host)

    port = tools.url.rpartition(":")[2]
    bounds = Bounds(connect_seconds=5, total_seconds=10)
    async with Outbound(loopback=True, bounds=bounds, lookup=lookup) as client:
        slow = [*(["one.example"] * 200), *(f"{n}.example" for n in range(100))]
        calls = [asyncio.create_task(client.call(get(f"http://{host}/"), "key")) for host in slow]
        quick = await client.call(get(f"http://quick.example:{port}/text=hi/quick"), "key")
        ended = await asyncio.gather(*calls, return_exceptions=True)
        again = await client.call(get(f"http://again.quick.example:{port}/text=hi/quick"), "key")
        held.set()

    assert (quick.body, again.body) == ("hi", "hi")
    assert asked.count("one.example") == 1
    assert {(type(error), getattr(error, "sent", None)) for error in ended} == {(ToolUnavailable, False)}


async def test_a_client_that_is_closed_leaves_no_thread_behind() -> None:
    before = {*threading.enumerate()}
    async with naming(["10.0.0.1"]) as (client, _):
        with pytest.raises(ToolBlocked):
            await client.call(get("http://tools.example/"), "key")
        assert {*threading.enumerate()} - before

    async def gone() -> None:
        assert {*threading.enumerate()} <= before

    await eventually(gone)
