"""Server-sent events out of bytes, however the network cuts them.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end in LF, CR LF or CR,
an empty line ends an event, `:` begins a comment. Only `data` is kept; an event that never ends is dropped.
"""

from __future__ import annotations

from domain.errors import ModelBroken

EVENT_BYTES = 1_048_576
"""The largest single event; what is larger is not an answer of a model."""

_BOM = b"\xef\xbb\xbf"


class Events:
    """An incremental parser of one stream. Bytes stay bytes: a character may be cut anywhere."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that this piece completes. Raises ModelBroken above EVENT_BYTES."""
        head, *lines = self._unified(piece).split(b"\n")
        self._line += head
        events: list[bytes] = []
        if lines:
            whole, self._line = bytes(self._line), bytearray(lines.pop())
            for line in (whole, *lines):
                self._take(line, events)
        self._bound(self._size + len(self._line))
        return events

    def _bound(self, size: int) -> None:
        if size > EVENT_BYTES:
            raise ModelBroken(f"The model sent an event larger than {EVENT_BYTES} bytes.")

    def _unified(self, piece: bytes) -> bytes:
        """The piece with LF line ends only; a CR LF may be cut between the two."""
        if not piece:
            return piece
        if self._after_cr and piece[0] == 10:
            piece = piece[1:]
            self._after_cr = False
        if b"\r" in piece:
            self._after_cr = piece[-1] == 13
            return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._after_cr = False
        return piece

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if not line:
            if self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data, self._size = [], 0
        elif line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._size += len(line)
            self._bound(self._size)
        elif line == b"data":
            self._data.append(b"")
