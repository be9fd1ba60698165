"""An SMTP server for the test suite, with faults, which keeps what it takes.

`mailbox.faults[where] = what`, for every time, or a list of them, one a time and None for none:

    where   greet ehlo starttls auth mail rcpt data body end quit, or an address that is named with RCPT
    what    "450 later" and the like: that reply in place of its own
            "hang"      no reply         "close"     a clean end in place of one        "reset"  a rude one
            "babble"    a reply that is none

`data` is the reply to DATA, `body` what happens after it, while the letter comes, and `end` the reply to the
letter: with one of 400 or more it is not kept, with all other faults it is, and the sender does not learn it.
In a test: `async with Mailbox() as mailbox`, then `mailbox.port` and `mailbox.letters`. As a process:
`tests/mailbox_server.py`.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
import struct
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Fault = str | list[str | None]


@dataclass(frozen=True)
class Kept:
    """A letter that was taken."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    secured: bool
    """It came over TLS."""
    login: str

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])


@dataclass
class Mailbox:
    """A context manager on a port of its own."""

    login: tuple[str, str] | None = None
    """The user and password that it asks for."""
    starttls: ssl.SSLContext | None = None
    tls: ssl.SSLContext | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    letters: list[Kept] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """Every command, in capitals."""
    port: int = 0
    """One that is free, unless it is named."""
    _server: asyncio.Server | None = None
    _talks: set[_Talk] = field(default_factory=set)

    async def __aenter__(self) -> Mailbox:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Talk(self), "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.break_off(rude=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def connections(self) -> int:
        return len(self._talks)

    def break_off(self, *, rude: bool) -> None:
        """Ends all connections, in the middle of whatever they are in."""
        for talk in [*self._talks]:
            talk.abort(rude=rude)

    def fault(self, where: str) -> str | None:
        """What goes wrong this time."""
        planned = self.faults.get(where)
        if isinstance(planned, list):
            return planned.pop(0) if planned else None
        return planned

    def authenticate(self, _: SMTP, __: Session, ___: Envelope, ____: str, shown: Any) -> AuthResult:
        given = (shown.login.decode(), shown.password.decode()) if isinstance(shown, LoginPassword) else None
        return AuthResult(success=given == self.login, handled=False, auth_data=shown)


class _Talk(SMTP):
    """One connection."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(
            _Keeper(mailbox),
            hostname="mail.example",
            tls_context=mailbox.starttls,
            auth_require_tls=False,
            authenticator=mailbox.authenticate if mailbox.login else None,
            auth_required=False,
            loop=asyncio.get_running_loop(),
        )
        self._mailbox = mailbox
        self._at = "greet"
        mailbox._talks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._mailbox._talks.discard(self)
        super().connection_lost(error)

    def abort(self, *, rude: bool = True) -> None:
        # After STARTTLS there are two, and the outer one may be over already.
        transport = cast(asyncio.Transport | None, self._original_transport or self.transport)
        if transport is not None and rude:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        elif transport is not None:
            transport.close()

    async def push(self, status: Any) -> None:
        """Every reply goes through here."""
        told = status.decode() if isinstance(status, bytes) else status
        fault = None if told.startswith(("334", "250-")) else self._mailbox.fault(self._at)
        if fault is None:
            await super().push(told.encode())
        else:
            await self._do(fault)
        if self._at == "data" and told.startswith("354") and fault is None:
            self._at = "body"
            if (fault := self._mailbox.fault("body")) is not None:
                await self._do(fault)
            self._at = "end"

    async def _do(self, fault: str) -> None:
        if fault == "hang":
            await asyncio.Event().wait()
        if fault in ("close", "reset"):
            self.abort(rude=fault == "reset")
            # What comes after is for nobody.
            await asyncio.Event().wait()
        await super().push(b"what?" if fault == "babble" else fault.encode())


def _at(where: str) -> Any:
    async def command(self: _Talk, arg: str | None) -> None:
        self._at = where
        self._mailbox.heard.append(where.upper())
        await getattr(SMTP, f"smtp_{where.upper()}")(self, arg)

    return command


for _where in ("ehlo", "helo", "starttls", "auth", "mail", "rcpt", "data", "rset", "quit"):
    setattr(_Talk, f"smtp_{_where.upper()}", _at(_where))


@dataclass
class _Keeper:
    """What is done with a letter."""

    mailbox: Mailbox

    async def handle_RCPT(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        fault = self.mailbox.fault(address)
        if fault is not None:
            return fault
        envelope.rcpt_tos.append(address)
        return "250 taken"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        planned = self.mailbox.faults.get("end")
        now = planned[0] if isinstance(planned, list) and planned else planned
        if isinstance(now, str) and now[:1] in ("4", "5"):
            return "451 never said"
        login = session.auth_data.login.decode() if session.auth_data else ""
        self.mailbox.letters.append(
            Kept(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                raw=cast(bytes, envelope.content),
                secured=session.ssl is not None or self.mailbox.tls is not None,
                login=login,
            )
        )
        return "250 kept"
