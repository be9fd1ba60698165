"""The one way out for e-mails: an attempt at the configured SMTP server, and what came of it."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, cast

import aiosmtplib as smtplib
from aiosmtplib import SMTP, SMTPResponse

from activities import letters
from domain.mail import Letter, Outcome, Posted, Refusal, Server, Trouble, is_final, smtp

_LONGEST_TEXT = 500
_UNSHOWN = re.compile(r"[^\x20-\x7e]+")
_DOT = re.compile(rb"(?m)^\.")
_START_INPUT = 354
_PAUSE = 0.01


@dataclass(frozen=True)
class Bounds:
    """What one attempt may take, in seconds."""

    connect: float = 10
    """For the connection and TLS, and again for the greeting."""
    command: float = 30
    answer: float = 60
    """To the whole letter, which servers look through; to give up early is to not know."""
    total: float = 120
    quit: float = 2


DEFAULT = Bounds()


class Mail:
    """Sends letters, each by a connection of its own. Without a server it sends none."""

    def __init__(
        self, server: Server | None, *, bounds: Bounds = DEFAULT, trust: ssl.SSLContext | None = None
    ) -> None:
        self._server = server
        self._bounds = bounds
        self._trust = trust or ssl.create_default_context()

    async def send(self, letter: Letter) -> Posted:
        """One attempt. Raises nothing for what the network or the server does.

        Whoever is cancelled in here does not know what became of the letter.
        """
        if self._server is None:
            return Posted(outcome="again", code="NO_SERVER")
        began = time.monotonic()
        raw = await asyncio.to_thread(letters.mime, letter, self._server.sender)
        talk = _Talk(self._server, self._bounds, self._trust)
        try:
            posted = await talk.held(letter.to if letter.only is None else letter.only, raw)
            await talk.quit()
        finally:
            talk.close()
        return posted.model_copy(update={"milliseconds": round((time.monotonic() - began) * 1000)})


class _Talk:
    """One conversation with the server."""

    def __init__(self, server: Server, bounds: Bounds, trust: ssl.SSLContext) -> None:
        self._server = server
        self._bounds = bounds
        self._smtp = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.encryption == "tls",
            start_tls=False,
            tls_context=trust,
            local_hostname=server.sender.domain,
            timeout=bounds.command,
        )
        self._stage: Literal["connecting", "securing", "logging in", "sending", "ending"] = "connecting"
        """`ending`: the letter's end was given to the connection; from then on it may have been taken."""

    async def held(self, recipients: tuple[str, ...], raw: bytes) -> Posted:
        try:
            async with asyncio.timeout(self._bounds.total):
                await self._open()
                self._stage = "sending"
                return await self._sent(recipients, raw)
        except smtplib.SMTPSenderRefused as error:
            return self._answered(error.code, error.message)
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            self.close()
            said = error.message if isinstance(error, smtplib.SMTPResponseException) else ""
            outcome: Outcome = "unknown" if self._stage == "ending" else "again"
            return Posted(outcome=outcome, code=self._code(error), text=_shown(said))

    async def quit(self) -> None:
        """Says goodbye if there is time. What the server says to that changes nothing."""
        with suppress(smtplib.SMTPException, OSError):
            await self._smtp.quit(timeout=self._bounds.quit)

    def close(self) -> None:
        self._smtp.close()

    async def _open(self) -> None:
        await self._smtp.connect(timeout=self._bounds.connect)
        if self._server.encryption == "starttls":
            self._stage = "securing"
            await self._smtp.starttls(timeout=self._bounds.connect)
        if self._server.username:
            self._stage = "logging in"
            await self._smtp.login(self._server.username, self._server.password.get_secret_value())

    async def _sent(self, recipients: tuple[str, ...], raw: bytes) -> Posted:
        await self._smtp.mail(self._server.sender.address)
        refused = await self._named(recipients)
        if len(refused) == len(recipients):
            return _refused(refused)
        told = await self._smtp.execute_command(b"DATA")
        if told.code == _START_INPUT:
            told = await self._body(raw)
        posted = self._answered(told.code, told.message)
        return posted.model_copy(update={"refused": refused}) if posted.outcome == "delivered" else posted

    async def _named(self, recipients: tuple[str, ...]) -> tuple[Refusal, ...]:
        """Those whom the server does not take."""
        refused = []
        for address in recipients:
            try:
                await self._smtp.rcpt(address)
            except smtplib.SMTPRecipientRefused as error:
                refused.append(Refusal(address=address, status=error.code, text=_shown(error.message)))
        return tuple(refused)

    async def _body(self, raw: bytes) -> SMTPResponse:
        """The letter, and what the server says to it. Its end is sent by itself when all before it is out: a
        connection that breaks earlier has surely delivered nothing. Through TLS one does not see so far, and
        what breaks in a long letter is unknown."""
        protocol = self._smtp.protocol
        if protocol is None:
            raise smtplib.SMTPServerDisconnected("lost before the letter")
        transport = cast(asyncio.WriteTransport, protocol.transport)
        protocol.write(_DOT.sub(b"..", raw))
        # A transport tells nobody when it is empty.
        while not transport.is_closing() and transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE)
        protocol.write(b".\r\n")
        self._stage = "ending"
        return await protocol.read_response(timeout=self._bounds.answer)

    def _answered(self, status: int, said: str) -> Posted:
        """Of a letter, or of a command before it that was not taken."""
        ending = self._stage == "ending"
        outcome: Outcome = "unknown" if ending else "again"
        if is_final(status):
            outcome = "refused"
        elif 400 <= status < 600:
            outcome = "again"
        elif 200 <= status < 300 and ending:
            outcome = "delivered"
        return Posted(outcome=outcome, code=smtp(status), text=_shown(said))

    def _code(self, error: Exception) -> str:
        """Of what is no answer to the letter."""
        return _responded(error, self._stage) or _failed(error, self._stage)


def _responded(error: Exception, stage: str) -> str | None:
    """What the server said, outside of the letter."""
    if not isinstance(error, smtplib.SMTPResponseException):
        return None
    if error.code < 200 or error.code > 599:
        return "NOT_SMTP"
    return "LOGIN_FAILED" if stage == "logging in" else smtp(error.code)


def _failed(error: Exception, stage: str) -> Trouble:
    cause = error.__cause__ or error
    early = stage == "connecting"
    if isinstance(cause, ssl.SSLError):
        return "TLS_FAILED"
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "NO_NAME"
    if isinstance(error, TimeoutError):
        return "CONNECT_TIMEOUT" if early else "ANSWER_TIMEOUT"
    if isinstance(error, OSError):
        lost = not early or isinstance(cause, smtplib.SMTPServerDisconnected)
        return "CONNECTION_LOST" if lost else "UNREACHABLE"
    # What is left is what the server does not offer.
    return "TLS_FAILED" if stage == "securing" else "LOGIN_FAILED"


def _refused(refused: tuple[Refusal, ...]) -> Posted:
    """Nobody was taken; one who may be later keeps the letter alive."""
    owed = [one for one in refused if not one.for_good]
    first = (owed or refused)[0]
    outcome: Outcome = "again" if owed else "refused"
    return Posted(outcome=outcome, code=smtp(first.status), text=first.text, refused=refused)


def _shown(said: str) -> str:
    return _UNSHOWN.sub(" ", said)[:_LONGEST_TEXT].strip()
