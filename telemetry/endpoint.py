"""Serves `/metrics` on a port of its own, from a thread: it answers even while the event loop does not."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

_log = logging.getLogger(__name__)

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], read: Callable[[], bytes]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._read = read
        self._one_at_a_time = threading.Lock()
        super().__init__(address, _Scrape)

    def read(self) -> bytes:
        with self._one_at_a_time:
            return self._read()


class _Scrape(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5
    """Seconds a client may be silent."""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        body = self.server.read()
        self.send_response(200)
        self.send_header("Content-Type", _TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Scrapes are no news, and their paths are nobody's words of ours to keep."""


def _bound(host: str, port: int, read: Callable[[], bytes]) -> _Server:
    try:
        return _Server((host, port), read)
    except OSError as trouble:
        said = "HOLDFAST_METRICS_PORT: %s:%d cannot be served (%s); name another, or 0 for none"
        _log.critical(said, host, port, trouble.strerror)
        raise


@contextmanager
def serving(host: str, port: int, read: Callable[[], bytes]) -> Iterator[None]:
    """`read` is called in a thread, for one scrape at a time. Raises OSError where the port is taken."""
    with _bound(host, port, read) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
