"""Web origins: exact, as browsers send them."""

from __future__ import annotations

import pytest

from domain import origin
from domain.errors import BadRequest


@pytest.mark.parametrize(
    "text",
    [
        "https://www.example.com",
        "http://localhost:3000",
        "https://xn--bcher-kva.example",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ],
)
def test_what_a_browser_sends_is_an_origin(text: str) -> None:
    assert origin.check(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "null",
        "https://*",
        "https://*.example.com",
        "https://www.example.com/",
        "https://www.example.com/page",
        "https://WWW.example.com",
        "https://www.example.com:443",
        "http://www.example.com:80",
        "https://bücher.example",
        "https://user@example.com",
        "https://a.example, https://b.example",
        "www.example.com",
        "//www.example.com",
        "https://",
        "https://a\n.example",
        "https://a.example\n",
        "https://" + "a" * 300,
    ],
)
def test_what_no_browser_sends_is_refused_with_the_form_it_should_have(text: str) -> None:
    with pytest.raises(BadRequest, match=r"https://www\.example\.com"):
        origin.check(text)
