"""What the head of a request must be beyond what the parser checks: one host, one coding, a bounded size."""

from __future__ import annotations

import re
from collections.abc import Sequence

from httptools import HttpParserInvalidURLError, parse_url

from api.bounds import Bounds
from domain.errors import BadRequest, UnsupportedMedia

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")

Headers = Sequence[tuple[bytes, bytes]]


def check(version: str, target: bytes, headers: Headers) -> None:
    """Raises BadRequest or UnsupportedMedia. Names of headers come in lower case."""
    if version not in ("1.1", "1.0"):
        raise BadRequest("This server speaks HTTP/1.1; send the request in it.")
    hosts = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            _check_coding(version, value)
    _check_host(version, hosts)
    if not target.startswith(b"/") and _path(target) is None:
        raise BadRequest("The request's target has no path; send one, like /v1/bot/list.")


def check_size(target: bytes, headers: Headers, bounds: Bounds) -> None:
    """Raises HeadersTooLarge or TargetTooLong."""
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > bounds.header_bytes:
        raise bounds.head(len(target))


def _path(target: bytes) -> bytes | None:
    try:
        return parse_url(target).path if target != b"*" else None
    except HttpParserInvalidURLError:
        return None


def _check_host(version: str, hosts: list[bytes]) -> None:
    """One well-formed host, whichever: nothing here is found or allowed by it. HTTP/1.0 may leave it out."""
    if version == "1.0" and not hosts:
        return
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise BadRequest("Host: send this header once, as a name or an address with or without a port.")


def _check_coding(version: str, coding: bytes) -> None:
    if version == "1.0":
        raise BadRequest("Transfer-Encoding: HTTP/1.0 has none; send Content-Length.")
    if coding.lower() != b"chunked":
        raise UnsupportedMedia("Transfer-Encoding: only chunked is served; send the body uncompressed.")
