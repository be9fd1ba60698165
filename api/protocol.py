"""uvicorn's HTTP protocol over httptools, with every size and every wait of a connection bounded."""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import socket
import struct
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api import head
from api.bounds import Bounds
from api.refusals import reason, rendered
from domain.errors import BadRequest, HoldfastError

_log = logging.getLogger(__name__)

_LIVE = b"/health/live"
"""Answered even by a full server: whoever restarts it for being silent would only help the crowd."""
_QUEUED = 16
"""Requests that may wait behind the one being answered."""
SPARE = 256
"""Connections beyond the limit that are heard, to be told so; those on top are closed at once."""
LINGER = 2.0
"""Seconds for a client that is still sending to read why it is not heard any more."""
_PROGRESS = 16_384
"""Bytes: who takes fewer while a write is blocked for as long as it may be is not reading."""
_STILL, _MOMENT = 1.0, 0.1
"""Seconds: a timer that is so much late tells that the process stood still, and waits a moment more."""
_COMPLAINT = 60.0
"""Seconds between two complaints about the same."""


class _Stage(enum.Enum):
    """What is being received."""

    BETWEEN = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


_BETWEEN, _HEAD, _BODY = _Stage.BETWEEN, _Stage.HEAD, _Stage.BODY


class _Parting(asyncio.Transport):
    """The transport of a connection's last answer: when that is written, the protocol parts gently."""

    def __init__(self, transport: asyncio.Transport, part: Callable[[], None]) -> None:
        super().__init__()
        self.close = part  # type: ignore[method-assign]
        self.write = transport.write  # type: ignore[method-assign]
        self.is_closing = transport.is_closing  # type: ignore[method-assign]


class Bounded(HttpToolsProtocol):
    """One connection, with one timer, which looks what is due and is only set again to look earlier.

    A request that cannot be served at this level is answered here, in the shape of every error, and the
    connection ends with that.
    """

    bounds: ClassVar[Bounds]
    counted: Callable[[int], None]
    """Counts a refusal by its status."""
    _complained: ClassVar[float] = -math.inf

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._stage = _BETWEEN
        self._crowded = False
        self._deaf = False
        """What still comes is not for anybody."""
        self._keep = True
        """Whether the connection may be kept after the request that is being received."""
        self._answering: RequestResponseCycle | None = None
        self._wire = self._body = 0
        """Bytes of the request being received: as they came, and those of its body."""
        self._most = 0
        """Bytes that a head among those being parsed can have."""
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._quiet = 0.0
        """When a connection on which nothing happens is over."""
        self._begun: float | None = None
        """Since when the head or the body is being received, if it did not come at once."""
        self._heard = 0.0
        self._parted: float | None = None
        self._blocked: float | None = None
        self._unsent = 0
        """Bytes that were not sent when last looked at, at `_blocked`."""

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        beyond = len(self.connections) - self.bounds.connections
        self._crowded = beyond > 0
        if self._crowded:
            self._complain()
        if beyond > SPARE:
            self._drop()
            return
        self._quiet = self.loop.time() + self.bounds.receive_seconds
        self._watch(self._quiet)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # uvicorn tells the last request only; an earlier one would be answered for ever.
        if self._answering is not None:
            self._disconnect(self._answering)
        self.pipeline.clear()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        # The transport closes now, as soon as what is left has been read.
        self._flush()

    def shutdown(self) -> None:
        self._keep = False
        if self._answering is not None:
            self._answering.keep_alive = False
        super().shutdown()

    # Receiving.

    def data_received(self, data: bytes) -> None:
        while data and not self._deaf:
            data = self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """Parses; what follows a wish for another protocol comes back, for no other is spoken here."""
        self._wire = self._most = self._wire + len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as other:
            return data[other.args[0] :]
        except httptools.HttpParserError as error:
            self._refuse(reason(error))
        else:
            if self._wire or self._stage is not _BETWEEN:
                self._incomplete()
        return b""

    def on_message_begin(self) -> None:
        self._stage = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._most > self.bounds.header_bytes:
            head.check_size(self.url, self.headers, self.bounds)
        head.check(self.parser.get_http_version(), self.url, self.headers)
        if self._crowded and self.url != _LIVE:
            raise self.bounds.crowded()
        if len(self.pipeline) >= _QUEUED:
            raise BadRequest(f"More than {_QUEUED} requests wait on this connection; wait for their answers.")
        super().on_headers_complete()
        self.cycle.keep_alive = self._keep = self.cycle.keep_alive and not self._crowded
        self._stage, self._begun, self._body = _BODY, None, 0
        # uvicorn adds trailers to the headers: to another list now, which nobody reads.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._begun is not None and not self.cycle.response_started:
            self.cycle.keep_alive, self.cycle.transport = self._keep, self.transport
        self._stage, self._begun, self._wire = _BETWEEN, None, 0
        super().on_message_complete()

    def _incomplete(self) -> None:
        """After data that left a request incomplete."""
        now, in_body = self.loop.time(), self._stage is _BODY
        target = len(self.url) if self._stage is _HEAD else 0
        if not in_body and max(self._wire, target) > self.bounds.header_bytes:
            self._refuse(self.bounds.head(target))
            return
        if in_body and self._wire > 2 * (self.bounds.header_bytes + self._body):
            self._refuse(self.bounds.framing())
            return
        self._heard = now
        if self._begun is None:
            self._begun = now
            if in_body and not self.cycle.response_started:
                self._end_with(self.cycle)
            self._watch(now + self.bounds.receive_seconds)

    # Answering.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """In place of uvicorn's, which sets a timer each time and reads on while requests wait."""
        self.server_state.total_requests += 1
        self._answering = None
        if self.transport.is_closing():
            self._flush()
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            if not self.pipeline:
                self.flow.resume_reading()
        elif not self._deaf:
            self.flow.resume_reading()
            self._quiet = self.loop.time() + self.bounds.idle_seconds
            self._watch(self._quiet)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._flush()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._blocked = None
        if self.transport.is_closing():
            self._flush()

    def _refuse(self, error: HoldfastError) -> None:
        """Answers what is being received with an error, if it is its turn, and ends the connection."""
        _log.debug("refused: %s", error.message)
        before, in_body = self._answering, self._stage is _BODY
        self._deaf, self._stage, self._begun, self._wire = True, _BETWEEN, None, 0
        if before is not None and not (in_body and before is self.cycle and not before.response_started):
            # What was asked before is answered still. A second answer would come in the middle of the first.
            self.pipeline.clear()
            self._end_with(before)
            self.flow.pause_reading()
            return
        if before is not None:
            self._disconnect(before)
        status, answer = rendered(error, self.server_state.default_headers)
        self.counted(status)
        self.transport.write(answer)
        self._part()

    def _end_with(self, cycle: RequestResponseCycle) -> None:
        """This answer is the last one, for its request has not come in whole or nothing more is heard."""
        cycle.keep_alive = False
        cycle.transport = _Parting(self.transport, self._part)

    def _disconnect(self, cycle: RequestResponseCycle) -> None:
        """Its handler learns that nobody waits for its answer."""
        cycle.disconnected, cycle.waiting_for_100_continue = True, False
        cycle.message_event.set()

    # Leaving.

    def _part(self) -> None:
        """Says no more. To close while a client sends would reset the connection and lose the last answer."""
        if self.transport.is_closing():
            return
        self._deaf, self._parted = True, self.loop.time()
        self.transport.write_eof()
        self.flow.resume_reading()
        self._watch(self._parted + LINGER)

    def _close(self) -> None:
        self._parted = None
        self.transport.close()
        self._flush()

    def _flush(self) -> None:
        """Watches that what is left to send is read."""
        self._blocked, self._unsent = self.loop.time(), self.transport.get_write_buffer_size()
        self._watch(self._blocked + self.bounds.send_seconds)

    def _drop(self) -> None:
        """Ends the connection and forgets what is left to send; a plain close would keep that."""
        at_once = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.transport.abort()

    def _complain(self) -> None:
        cls, now = type(self), self.loop.time()
        if now - cls._complained > _COMPLAINT:
            cls._complained = now
            _log.warning("%s", self.bounds.crowded().message)

    # The timer.

    def _watch(self, when: float) -> None:
        """Looks what is due at this moment, if not before."""
        if self._timer is not None:
            if self._due <= when:
                return
            self._timer.cancel()
        self._due, self._timer = when, self.loop.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self.loop.time()
        if now > self._due + _STILL:
            # What has come meanwhile is read first.
            self._watch(now + _MOMENT)
            return
        when, end = min(self._ends(), key=lambda pair: pair[0], default=(math.inf, None))
        if end is None:
            return
        if when > now:
            self._watch(when)
        else:
            end()

    def _ends(self) -> list[tuple[float, Callable[[], None]]]:
        """When which wait is over, and what then."""
        ends: list[tuple[float, Callable[[], None]]] = []
        if self._blocked is not None:
            ends.append((self._blocked + self.bounds.send_seconds, self._unread))
        if self._parted is not None:
            ends.append((self._parted + LINGER, self._close))
        elif self._begun is not None and self._stage is _BODY:
            ends.append((self._heard + self.bounds.receive_seconds, self._late))
            ends.append((self._begun + self.bounds.body_seconds, self._late))
        elif self._begun is not None:
            ends.append((self._begun + self.bounds.receive_seconds, self._late))
        elif self._answering is None and not self.transport.is_closing():
            ends.append((self._quiet, self._close))
        return ends

    def _late(self) -> None:
        assert self._begun is not None
        now = self.loop.time()
        if self._stage is not _BODY:
            self._refuse(self.bounds.slow_head())
        elif self.flow.read_paused or self.cycle.waiting_for_100_continue:
            # It is ours to go on, not the client's.
            self._begun = self._heard = now
            self._watch(now + self.bounds.receive_seconds)
        elif now >= self._begun + self.bounds.body_seconds:
            self._refuse(self.bounds.slow_body())
        else:
            self._refuse(self.bounds.silent_body())

    def _unread(self) -> None:
        if self._unsent - self.transport.get_write_buffer_size() < _PROGRESS:
            _log.debug("dropped a client that does not read")
            self._drop()
        else:
            self._flush()


def bounded(bounds: Bounds, count: Callable[[int], None]) -> type[Bounded]:
    """The protocol with these bounds, for a server to make connections of; `count` hears what it refuses."""

    class Protocol(Bounded):
        counted = staticmethod(count)

    Protocol.bounds = bounds
    return Protocol
