"""A letter as it is read: its headers, its text, its HTML."""

from __future__ import annotations

import email
import email.policy
import re
import time
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.letters import LONGEST_HTML, html, mime
from domain.mail import Letter, Sender, read_recipients

SENDER = Sender(name="Holdfast, Inc. & Grüße", address="holdfast@example.com")
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
HOSTILE = [
    "=?utf-8?q?Hi=0D=0ABcc:_evil=40x.example?=",
    "=?utf-8?q?Hi=0D=0ABcc:_evil=40x.example=0D=0AX-Mine:_1?=",
    "=?utf-8?q?Hi=0ABcc:_evil=40x.example=0D=0A=0D=0Abody?= tail",
    "x =?utf-8?b?SGkNCkJjYzogZXZpbEB4LmV4YW1wbGU=?= yééé",
    "=?utf-8?q?a=0D=0AX:y?=" + "b" * 150,
    "=?utf-8?q?a=0D?= =?utf-8?q?=0A=0D=0Ab?=",
    "=?utf-16?b?AA0ACgBC?=",
    "=?utf-8?q?=00nul?=",
    "=?utf-8?q?=ED=A0=80?=",
    "=?ascii?q?=ff=fe?=",
    "=?bogus?q?abc?=",
    "=?utf-8?b?A?= =?utf-8?q?",
    "=?UTF-8*en?Q?=0D=0AX:_y?=",
    'a" <b@x.example>, "c\\',
]


def letter(text: str = "# Hello", **fields: Any) -> Letter:
    defaults: dict[str, Any] = {
        "delivery_id": "dlv_01k",
        "to": ("ada@example.com",),
        "subject": "Hello",
        "at": datetime(2026, 11, 26, 7, 0, tzinfo=UTC),
    }
    return Letter(text=text, **defaults | fields)


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def parts(raw: bytes) -> dict[str, str]:
    """The text of each part, by its type, with the line ends that it was written with."""
    leaves = [part for part in read(raw).walk() if not part.is_multipart()]
    return {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in leaves}


def test_a_letter_names_its_sender_all_recipients_its_time_and_that_nobody_wrote_it() -> None:
    raw = mime(letter(to=("ada@example.com", "bob@example.org"), only=("bob@example.org",)), SENDER)

    message = read(raw)
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "From": '"Holdfast, Inc. & Grüße" <holdfast@example.com>',
        "To": "ada@example.com, bob@example.org",
        "Subject": "Hello",
        "Date": "Thu, 26 Nov 2026 07:00:00 +0000",
        "Message-ID": "<dlv_01k@example.com>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
    assert message.get_content_type() == "multipart/alternative"


def test_the_id_is_the_same_at_each_attempt_and_stands_on_one_line_however_long_its_domain_is() -> None:
    sender = Sender(name="", address="h@" + ".".join(["a" * 60] * 4))
    made = [mime(letter(delivery_id="dlv_" + "0" * 26), sender) for _ in range(2)]

    for raw in made:
        (line,) = re.findall(rb"^Message-ID:\s+(.+)\r$", raw, re.MULTILINE)
        assert line == f"<dlv_{'0' * 26}@{sender.domain}>".encode()


@pytest.mark.parametrize("subject", ["Grüße & 今日 " * 11 + ".", "a" * 200, "a  b", "👩‍💻" * 40])
def test_a_subject_is_read_as_it_was_written(subject: str) -> None:
    assert read(mime(letter(subject=subject), SENDER))["Subject"] == subject


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_subject_or_a_name_is_no_more_than_it_says_whatever_it_spells(hostile: str) -> None:
    raw = mime(letter(subject=hostile), Sender(name=hostile, address="h@example.com"))

    message = read(raw)
    assert message.keys() == HEADERS
    assert len(re.findall(rb"(?im)^subject:", raw)) == 1
    assert raw.isascii()
    assert b"\0" not in raw
    assert b"unknown-8bit" not in raw
    assert message["Subject"] == hostile
    # As it came: EmailMessage reads a space between two encoded words of a name.
    name, address = parseaddr(email.message_from_bytes(raw)["From"])
    assert (str(make_header(decode_header(name))), address) == (hostile, "h@example.com")
    assert parts(raw)["text/plain"] == "# Hello\n"


@given(st.lists(st.sampled_from([*HOSTILE, *'\r\n\0\x85\u2028\ud800=? \t:aé今"\\,<'])).map("".join))
def test_whatever_is_stored_makes_each_header_once_and_no_other(text: str) -> None:
    raw = mime(letter(subject=text), Sender(name=text, address="h@example.com"))

    head = raw.split(b"\r\n\r\n")[0]
    assert re.findall(r"(?m)^(\S+?): ", head.decode("ascii")) == HEADERS == read(raw).keys()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", head)
    assert read(raw)["From"].addresses[0].addr_spec == "h@example.com"


def test_an_address_that_looks_encoded_is_written_as_it_is() -> None:
    address = "=?utf-8?q?=0D=0ABcc=3A_evil=40x.example=0D=0A?=@x.example"
    assert read_recipients([address]) == (address,)

    raw = mime(letter(to=(address, "ada@example.com")), Sender(name="", address="h@example.com"))

    assert f"\r\nTo: {address},\r\n ada@example.com\r\n".encode() in raw
    assert re.findall(rb"(?m)^(\S+?): ", raw.split(b"\r\n\r\n")[0]) == [name.encode() for name in HEADERS]


def test_what_would_be_two_headers_is_not_sent() -> None:
    with pytest.raises(ValueError, match="To would not be one header"):
        mime(letter(to=("a@x.example\r\nBcc: b@x.example",)), SENDER)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("# Title\n\n*a* **b** ~~c~~", "<h1>Title</h1>\n<p><em>a</em> <strong>b</strong> <s>c</s></p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("[a](https://x.example/?a=1&b=2)", '<p><a href="https://x.example/?a=1&amp;b=2">a</a></p>\n'),
        ("<mailto:a@x.example>", '<p><a href="mailto:a@x.example">mailto:a@x.example</a></p>\n'),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("[a](JaVaScRiPt:x)", "<p>[a](JaVaScRiPt:x)</p>\n"),
        ("[a](data:text/html,x)", "<p>[a](data:text/html,x)</p>\n"),
        ("[a](ftp://x.example)", "<p>[a](ftp://x.example)</p>\n"),
        ("[a](/local)", "<p>[a](/local)</p>\n"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
        ("a <img src=x onerror=y> b", "<p>a &lt;img src=x onerror=y&gt; b</p>\n"),
        ('![p"](https://x.example/a.png)', '<p><a href="https://x.example/a.png">p&quot;</a></p>\n'),
        (
            "![](https://x.example/a.png)",
            '<p><a href="https://x.example/a.png">https://x.example/a.png</a></p>\n',
        ),
        ("[![p](https://x.example/a.png)](https://y.example)", '<p><a href="https://y.example">p</a></p>\n'),
        ("![p](data:image/png;base64,AA)", "<p>![p](data:image/png;base64,AA)</p>\n"),
        (
            "|a|\n|-|\n|b|",
            "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n"
            "<tr>\n<td>b</td>\n</tr>\n</tbody>\n</table>\n",
        ),
        ("```js\n<b>\n```", '<pre><code class="language-js">&lt;b&gt;\n</code></pre>\n'),
    ],
)
def test_markdown_becomes_html_in_which_nothing_is_run_or_fetched(text: str, made: str) -> None:
    assert html(text) == made


@given(
    st.lists(st.sampled_from([*"<>&\"'[]()!`*_#-\n \\:/=ahjs", "javascript:", "http://x", "src="])).map(
        "".join
    )
)
def test_no_markdown_makes_a_tag_that_fetches_or_runs(text: str) -> None:
    made = html(text)

    assert {*re.findall(r"<([a-z0-9]+)", made)} <= {
        *(
            "p",
            "a",
            "em",
            "strong",
            "code",
            "pre",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "br",
            "ul",
            "ol",
        ),
        *("li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "s"),
    }
    assert all(re.match(r"(?i)(https?|mailto):", link) for link in re.findall(r'href="([^"]*)"', made))
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', "", made))


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_text_is_sent_in_short_lines_of_ascii_and_read_as_it_was(text: str) -> None:
    raw = mime(letter(text), SENDER)

    assert raw.isascii()
    assert b"\0" not in raw
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    kept = re.sub("[\0\ud800-\udfff]", "\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    assert parts(raw)["text/plain"].removesuffix("\n") == kept.removesuffix("\n")


def test_a_long_text_is_sent_as_text_only_and_soon() -> None:
    began = time.monotonic()

    worst = parts(mime(letter("[" * LONGEST_HTML), SENDER))
    longer = parts(mime(letter("ü[" * 500_000), SENDER))

    assert time.monotonic() - began < 60
    assert {*worst} == {"text/plain", "text/html"}
    assert {*longer} == {"text/plain"}
    assert longer["text/plain"] == "ü[" * 500_000 + "\n"
