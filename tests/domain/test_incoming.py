"""What is kept of the headers of an event."""

from __future__ import annotations

from domain.incoming import kept
from domain.pointer import Where
from domain.received import Received

SENT = Received(
    headers=(
        ("content-type", "text/plain"),
        ("x-request-id", "mark"),
        ("authorization", "Bearer mark"),
        ("x-order", "7"),
        ("x-other", "o"),
    ),
    body=b"",
)


def test_headers_that_tell_what_an_event_is_are_kept_and_no_others() -> None:
    assert kept(SENT, (Where(header="X-Order"), None)) == {
        "content-type": "text/plain",
        "x-request-id": "mark",
        "x-order": "7",
    }


def test_what_a_source_signs_with_is_never_kept_whatever_it_is_called() -> None:
    assert "x-request-id" not in kept(SENT, (Where(header="X-Request-Id"),), "X-Request-Id")
