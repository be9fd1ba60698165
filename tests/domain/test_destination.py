"""Where results go: which literal addresses are this machine's own, and who says the same."""

from __future__ import annotations

import pytest

from domain.destination import Destination, check_loopback
from domain.errors import BadRequest


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3:8080", "[::1]", "[::1]:9000", "[0:0:0:0:0:0:0:1]"])
def test_this_machines_own_addresses_are_known(host: str) -> None:
    with pytest.raises(BadRequest, match="HOLDFAST_OUTBOUND_LOOPBACK"):
        check_loopback(f"http://{host}/hook?a=b")


@pytest.mark.parametrize("host", ["localhost", "example.com", "93.184.215.14", "[2606:4700::1111]:443"])
def test_names_and_others_addresses_are_not_these(host: str) -> None:
    check_loopback(f"https://{host}/hook")


def test_who_says_the_same_is_told_from_who_does_not() -> None:
    said = [
        Destination(kind="webhook", url="https://a.example/"),
        Destination(kind="webhook", url="https://a.example/", headers=(("X-A", "b"),)),
        Destination(kind="webhook", url="https://a.example/", events=("failed",)),
        Destination(kind="email", to=("a@example.com",)),
        Destination(kind="email", to=("a@example.com",), subject="s"),
    ]

    assert len({one.text for one in said}) == 5
    assert said[0].text == Destination(kind="webhook", url="https://a.example/").text


def test_a_header_is_not_shown_by_accident() -> None:
    said = Destination(kind="webhook", url="https://a.example/", headers=(("X-A", "canary"),))

    assert "canary" not in repr(said)
