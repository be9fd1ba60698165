"""Requests as bytes, right ones to begin with and those with which something is wrong."""

from __future__ import annotations

from tests.api.conftest import BOUNDS

HOST = b"Host: localhost\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(range(160))
"""How a client of TLS begins."""
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000012040000000000")


def get(target: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = (b"GET %b HTTP/%b" % (target, version), HOST[:-2], *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/v1/bot/create") -> bytes:
    lines = (b"POST %b HTTP/1.1" % path, HOST[:-2], b"Content-Type: application/json", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def hosted(*hosts: bytes) -> bytes:
    return b"GET /health/live HTTP/1.1\r\n" + b"".join(b"Host: %b\r\n" % host for host in hosts) + b"\r\n"


ONE = b"2\r\n{}\r\n0\r\n\r\n"
HOSTS = (b"", b"a b", b"a/b", b"a,b", b"u@a", b"a:b", b"a:", b"a:999999", b"\xc3\xa9", b"[::1", b"a%00")
LENGTHS = (b"-1", b"+2", b"", b"2, 2", b"0x2", b"2.0", b"2e0", b"\xb2", b"9" * 30, b"two")
CHUNKS = (
    b"zz\r\n",
    b"-1\r\n",
    b"0x2\r\n{}\r\n",
    b"f" * 17 + b"\r\n",
    b"\r\n",
    b"2\n{}\n0\n\n",
    b"2\r\n{}00\r\n",
)

NO_HTTP = {
    "nonsense": b"nonsense\r\n\r\n",
    "NULs": bytes(100),
    "noise": bytes(range(256)) * 4,
    "a TLS hello": HELLO,
    "HTTP/2's preface": H2,
    "an unknown method": LIVE.replace(b"GET", b"FETCH"),
    "a method in lower case": LIVE.replace(b"GET", b"get"),
    "a method that is too long": LIVE.replace(b"GET", b"G" * 3_000),
    "no method": LIVE.replace(b"GET ", b""),
    "no target": LIVE.replace(b"/health/live ", b""),
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "HTTP/1.2": get(b"/health/live", version=b"1.2"),
    "HTTP/2.0 in words": get(b"/health/live", version=b"2.0"),
    "HTTP/9.9": get(b"/health/live", version=b"9.9"),
    "no version": LIVE.replace(b" HTTP/1.1", b" HTTP/"),
    "line feeds only": LIVE.replace(b"\r\n", b"\n"),
    "a carriage return alone": LIVE.replace(HOST, HOST + b"A: a\rB: b\r\n"),
    "a space in the target": get(b"/health live"),
    "a NUL in the target": get(b"/v1/bot/\0/fetch"),
    "raw bytes in the path": get(b"/v1/bot/\xff\xfe/fetch"),
    "raw bytes in the query": get(b"/v1/bot/list?a=\xc3\x28"),
    "a target without a slash": get(b"health/live"),
    "a query alone": get(b"?a=b"),
    "the asterisk": LIVE.replace(b"GET /health/live", b"OPTIONS *"),
    "a tunnel": LIVE.replace(b"GET /health/live", b"CONNECT localhost:443"),
    "a host and no path": get(b"http://localhost"),
    "a scheme alone": get(b"http://"),
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two hosts": hosted(b"a", b"b"),
    "a host twice": hosted(b"a", b"a"),
    **{f"host {host!r}": hosted(host) for host in HOSTS},
    "a folded header": get(b"/health/live", b"A: a\r\n b"),
    "a space in a header's name": get(b"/health/live", b"A b: a"),
    "a space behind a header's name": get(b"/health/live", b"A : a"),
    "a NUL in a header's name": get(b"/health/live", b"A\0: a"),
    "a byte beyond ASCII in a header's name": get(b"/health/live", b"\xc3\xa9: a"),
    "a header without a name": get(b"/health/live", b": a"),
    "a header without a colon": get(b"/health/live", b"A"),
    "a NUL in a header": get(b"/health/live", b"A: a\0b"),
    "a control byte in a header": get(b"/health/live", b"A: \x01"),
    "a length and chunks": post(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=ONE),
    "chunks and a length": post(b"Transfer-Encoding: chunked", b"Content-Length: 2", body=ONE),
    "two lengths": post(b"Content-Length: 2", b"Content-Length: 3", body=b"{} "),
    "a length twice": post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"),
    **{f"the length {length!r}": post(b"Content-Length: " + length, body=b"{}") for length in LENGTHS},
    "chunked twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": chunked(b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    **{f"the chunk {chunk!r}": chunked(chunk) for chunk in CHUNKS},
    "a chunk longer than it says": chunked(b"2\r\n{}00\r\n"),
    "a bad trailer": chunked(b"2\r\n{}\r\n0\r\nA b: c\r\n\r\n"),
    "chunks smaller than their frames": chunked(b"1\r\n \r\n" * 5_000),
    "a chunk's extension without end": chunked(b"2;" + b"e" * 20_000),
    "trailers without end": chunked(b"2\r\n{}\r\n0\r\n" + b"A: a\r\n" * 5_000),
}


LARGE = int(BOUNDS["HOLDFAST_HEADER_BYTES"])
TOO_LARGE = {
    "one large header": (431, [get(b"/", b"A: " + b"a" * LARGE)]),
    "a header's name": (431, [get(b"/", b"a" * LARGE + b": a")]),
    "a thousand headers": (431, [get(b"/", *[b"A: a"] * 1_000)]),
    "a cookie in pieces": (431, [get(b"/", b"Cookie: a=b")[:-4], *[b"; a=b" * 100] * 20]),
    "a header that never ends": (431, [get(b"/")[:-2], b"A: ", *[b"a" * 1_000] * 200]),
    "empty lines without end": (431, [b"\r\n" * LARGE]),
    "a long path": (414, [get(b"/" + b"a" * LARGE)]),
    "a long query": (414, [get(b"/v1/bot/list?" + b"a=b&" * LARGE)]),
    "a path that never ends": (414, [b"GET /", *[b"a" * 1_000] * 200]),
}
