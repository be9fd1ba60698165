"""An e-mail as it is sent: by whom, to whom, under which subject, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from unicodedata import category

from pydantic import Field, SecretStr

from domain.base import Frozen
from domain.errors import BadRequest

MOST_RECIPIENTS = 20
LONGEST_ADDRESS = 254
LONGEST_LOCAL = 64
LONGEST_SUBJECT = 200
"""Characters."""

Encryption = Literal["starttls", "tls", "none"]
Outcome = Literal["delivered", "refused", "again", "unknown"]
"""`delivered`: the server took it, at least for some. `refused`: it never will. `again`: it did not, but may.
`unknown`: the connection was lost, or time was up, after the letter's end was sent and before its answer."""
Trouble = Literal[
    "NO_SERVER",
    "NO_NAME",
    "UNREACHABLE",
    "TLS_FAILED",
    "LOGIN_FAILED",
    "CONNECT_TIMEOUT",
    "ANSWER_TIMEOUT",
    "CONNECTION_LOST",
    "NOT_SMTP",
]
"""Why there is no answer of the server to the letter. NO_SERVER: none is configured. CONNECT_TIMEOUT is
before it has greeted us, ANSWER_TIMEOUT after."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")
_NAMED = re.compile(r"\s*([^<>]*?)\s*<([^<>]*)>\s*")
_UNPRINTED = ("Cc", "Cn", "Co", "Cs", "Zl", "Zp")
"""Categories of characters that no subject has: controls, line ends, surrogates, what is not assigned."""


class Sender(Frozen):
    """Who our e-mails are from."""

    name: str
    """Empty where there is only an address."""
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class Server(Frozen):
    """The SMTP server that takes our e-mails, and what it is shown."""

    host: str
    port: int
    encryption: Encryption
    username: str
    """Empty where it asks for no login."""
    password: SecretStr
    sender: Sender


class Letter(Frozen):
    """What one delivery sends, the same at each attempt but for `only`."""

    delivery_id: str
    """The Message-ID is made of it, so that mailboxes know a letter that comes again."""
    to: tuple[str, ...]
    """As `read_recipients` has them; all of them are named in the letter."""
    only: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Those of `to` whom this attempt is for; None: all of them."""
    subject: str
    text: str
    """Markdown."""
    at: datetime
    """When the delivery was made."""

    def message_id(self, sender: Sender) -> str:
        return f"<{self.delivery_id}@{sender.domain}>"


class Refusal(Frozen):
    """What the server said of one address."""

    address: str
    status: int
    text: str

    @property
    def for_good(self) -> bool:
        return is_final(self.status)


class Posted(Frozen):
    """What came of one attempt."""

    outcome: Outcome
    code: str
    """`SMTP_250`, or a Trouble."""
    text: str = ""
    """What the server said, on one line."""
    refused: tuple[Refusal, ...] = ()
    """Addresses that it did not take; where it took others, those that are not `for_good` are still owed."""
    milliseconds: int = 0

    @property
    def owed(self) -> tuple[str, ...]:
        """Of a letter that was delivered to others: who may still be."""
        return tuple(one.address for one in self.refused if not one.for_good)


def is_final(status: int) -> bool:
    """Whether an answer stays as it is. 530 asks for a login: a matter of settings, not of the letter."""
    return 500 <= status < 600 and status != 530


def smtp(status: int) -> str:
    """The code of an answer of the server."""
    return f"SMTP_{status}"


def read_recipients(given: Sequence[str]) -> tuple[str, ...]:
    """Each address once. Raises BadRequest for one that no letter can be sent to, without repeating it."""
    if not given:
        raise BadRequest("email.to: at least one address.")
    if len(given) > MOST_RECIPIENTS:
        raise BadRequest(f"email.to: {MOST_RECIPIENTS} addresses at most.")
    for place, address in enumerate(given, 1):
        if not is_address(address):
            raise BadRequest(
                f"email.to: address {place} is none: `name@example.com` in ASCII, without a display name; "
                "a domain in other letters is written `xn--…`."
            )
    return tuple(dict.fromkeys(given))


def is_address(text: str) -> bool:
    """Those in ASCII without quotes, which every server takes and no header can be broken with."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and len(text) <= LONGEST_ADDRESS and len(found[1]) <= LONGEST_LOCAL


def check_subject(subject: str) -> None:
    """Raises BadRequest for one that cannot stand in a header."""
    if not subject.strip() or len(subject) > LONGEST_SUBJECT:
        raise BadRequest(f"email.subject: one to {LONGEST_SUBJECT} characters.")
    if any(category(char) in _UNPRINTED for char in subject):
        raise BadRequest("email.subject: one line, without control characters.")


def as_subject(text: str) -> str:
    """Of a text that was not made to be one, like a name: on one line, and cut."""
    printed = "".join(" " if category(char) in _UNPRINTED else char for char in text)
    line = " ".join(printed.split())
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 1] + "…"


def read_sender(text: str) -> Sender:
    """Of `Name <name@example.com>` or the address alone. Raises ValueError."""
    named = _NAMED.fullmatch(text)
    name, address = (named[1].strip('" '), named[2]) if named else ("", text.strip())
    if not is_address(address) or any(category(char) in _UNPRINTED for char in name):
        raise ValueError("it is an address, or `Name <name@example.com>`")
    return Sender(name=name, address=address)
