"""What the benchmark's subscribers understand of what they were sent."""

from __future__ import annotations

from bench.listeners import Listener

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def event(kind: str, data: str, seq: int) -> bytes:
    line = f'{{"type":"message","data":{{"type":"{kind}","data":{data}}},"seq":{seq}}}\n'
    return line.encode()


def chunk(*events: bytes) -> bytes:
    """As a server frames what it sends at once."""
    body = b"".join(events)
    return b"%x\r\n%s\r\n" % (len(body), body)


FIRST, SECOND = event("token", '{"token":"100.5"}', 2), event("token", '{"token":" 101.5"}', 3)
LAST = event("result", '{"text":"100.5 101.5","end":{"reason":"stop"}}', 4)


def listened(*reads: bytes) -> Listener:
    """Somebody who read the first of these at 1 s, the next at 2 s, …"""
    listener = Listener()
    listener.chunks = list(reads)
    listener.times = [float(number + 1) for number in range(len(reads))]
    return listener


async def test_a_token_is_received_when_its_last_byte_is() -> None:
    whole = chunk(SECOND)

    # The last read but one holds the end of the line, the very last what frames the chunk.
    listener = listened(HEAD, chunk(FIRST), whole[:40], whole[40:-2], whole[-2:], chunk(LAST))

    assert [tuple(heard) for heard in listener.heard()] == [(100.5, 2.0), (101.5, 4.0)]
    assert listener.is_whole(2)


async def test_tokens_that_come_at_once_were_received_at_once() -> None:
    listener = listened(HEAD + chunk(FIRST, SECOND, LAST))

    assert [heard.received for heard in listener.heard()] == [1.0, 1.0]


async def test_a_missing_a_repeated_and_a_late_token_are_noticed() -> None:
    assert not listened(HEAD, chunk(FIRST), chunk(LAST)).is_whole(2)
    assert not listened(HEAD, chunk(FIRST, FIRST), chunk(LAST)).is_whole(2)
    assert not listened(HEAD, chunk(SECOND, FIRST), chunk(LAST)).is_whole(2)


async def test_a_stream_without_its_end_is_not_whole() -> None:
    assert not listened(HEAD, chunk(FIRST, SECOND)).is_whole(2)
