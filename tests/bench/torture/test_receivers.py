"""The receivers of the torture keep what they took; its signatures are the product's."""

from __future__ import annotations

import asyncio
import base64
import json
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import aiohttp
from pydantic import SecretStr

from bench.torture import signing
from bench.torture.sink import OUT, TIDE, fate
from deploy import ports
from domain.received import Received
from domain.verification import Preset, Verification, verify
from domain.webhook import Webhook
from tests.house import ROOT, eventually

BODY = b'{"type": "trigger.completed"}'


@contextmanager
def receiving(name: str, home: Path) -> Iterator[tuple[int, Path]]:
    """Its port, and its file."""
    port, file = ports.pick(home, (name,))[name], home / f"{name}.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", f"bench.torture.{name}", str(port), str(file), "7"], cwd=ROOT
    )
    try:
        yield port, file
    finally:
        process.kill()
        process.wait()


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_what_the_sink_has_acknowledged_is_on_its_disk(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        with receiving("sink", tmp_path) as (port, file):

            async def up() -> None:
                try:
                    await session.get(f"http://127.0.0.1:{port}/")
                except aiohttp.ClientError as error:
                    raise AssertionError("not yet") from error

            await eventually(up)
            taken = 0
            for number in range(20):
                headers = {"webhook-id": f"dlv{number}"}
                try:
                    url = f"http://127.0.0.1:{port}/call"
                    async with session.post(url, data=BODY, headers=headers) as answer:
                        taken += answer.ok
                except aiohttp.ClientError:
                    continue

    told = lines(file)
    assert 0 < sum(bool(line["taken"]) for line in told) == taken < len(told)
    assert {line["body"] for line in told} == {base64.b64encode(BODY).decode()}


async def test_what_the_postbox_has_acknowledged_is_on_its_disk(tmp_path: Path) -> None:
    def send(port: int, number: int) -> bool:
        letter = f"Message-ID: <dlv{number}@example.com>\r\n\r\nHello.\r\n"
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
                client.sendmail("a@example.com", ["b@example.com"], letter)
        except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
            return False
        return True

    with receiving("postbox", tmp_path) as (port, file):

        async def up() -> None:
            try:
                await asyncio.to_thread(send, port, 99)
            except OSError as error:
                raise AssertionError("not yet") from error

        await eventually(up)
        taken = [await asyncio.to_thread(send, port, number) for number in range(20)]

    told = {str(line["id"]): line for line in lines(file)}
    for number, was_taken in enumerate(taken):
        line = told.get(f"<dlv{number}@example.com>")
        assert (line is not None and line["taken"] and line["to"] == ["b@example.com"]) == was_taken
    assert 0 < sum(taken) < len(taken)


def test_a_sink_may_be_out_at_times_or_for_ever_and_is_mostly_there() -> None:
    drawn = [fate("/call/1", f"dlv{number}", 1, "7", 0.0) for number in range(500)]

    assert 0.5 < drawn.count("taken") / len(drawn) < 0.7
    assert {fate("/never", "dlv1", count, "7", 5.0) for count in range(9)} == {"broken"}
    assert fate("/tide/call", "dlv1", 1, "7", TIDE + OUT - 1) == "broken"
    assert "taken" in {fate("/tide/call", "dlv1", count, "7", OUT + 1) for count in range(9)}


def test_what_the_product_signs_fits_and_nothing_else_does() -> None:
    chance = Random(7)
    secret, other = (signing.secret(chance, "standard-webhooks") for _ in range(2))
    webhook = Webhook(delivery_id="dlv1", url="http://a.example", secrets=(SecretStr(secret),), body=BODY)

    headers = {name.lower(): value for name, value in webhook.attempt(datetime.now(UTC)).headers}

    assert signing.fits(secret, headers, BODY)
    assert not signing.fits(other, headers, BODY)
    assert not signing.fits(secret, headers, BODY + b" ")
    assert not signing.fits(secret, headers | {"webhook-id": "dlv2"}, BODY)


def test_what_the_sources_sign_is_taken_by_the_product() -> None:
    presets: tuple[Preset, ...] = ("github", "standard-webhooks")
    for preset in presets:
        secret = signing.secret(Random(7), preset)
        made = (signing.github if preset == "github" else signing.standard)(secret, "ev1", BODY)
        headers = tuple((name.lower(), value) for name, value in made.items())
        received = Received(headers=headers, body=BODY)

        verify(Verification(preset=preset), [SecretStr(secret)], received, datetime.now(UTC))
