"""Secrets at rest: sealed in their rows, brought under new keys, and told when no key opens them."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from typing import Any

import pytest
from pydantic import SecretStr

from deploy import postgres
from domain.errors import NotFound, NotServed, SecretUnusable
from domain.secret import header
from store import Caps, Keyring, Store, rotation
from store.keyring import name
from tests.house import House
from tests.store.conftest import Desk, key
from tests.store.test_command import store as command

OLD, NEW, LOST = bytes(range(32)), bytes(range(1, 33)), bytes(32)
VALUE = "canary:canary"


async def under(desk: Desk, *keys: bytes) -> Desk:
    """The same database, as a process with these keys sees it."""
    return Desk(await Store.open(desk.store.database.url, Caps(), keyring=Keyring(keys)), desk.account)


async def made(desk: Desk, **given: Any) -> str:
    filled = {"type": "basic", "value": SecretStr(VALUE)} | given
    return await desk.store.secrets.create(desk.caller, key(), filled)


async def said(desk: Desk, secret: str) -> str:
    """What a header would say of it."""
    return header(await desk.store.secrets.reveal(desk.account, secret)).get_secret_value()


async def test_a_value_is_revealed_as_it_was_given_and_as_it_was_changed(desk: Desk) -> None:
    desk = await under(desk, NEW)
    secret = await made(desk, type="bearer", value=SecretStr("one"))

    first = await said(desk, secret)
    await desk.store.secrets.update(desk.caller, secret, {"name": "renamed"})
    kept = await said(desk, secret)
    await desk.store.secrets.update(desk.caller, secret, {"type": "plain", "value": SecretStr("two")})

    assert (first, kept, await said(desk, secret)) == ("Bearer one", "Bearer one", "two")


async def test_a_secret_of_another_account_or_of_nobody_is_not_revealed(desk: Desk) -> None:
    desk = await under(desk, NEW)
    secret = await made(desk)
    other = await desk.store.accounts.create("another")

    for account, id_ in ((other, secret), (desk.account, "sec_nobody")):
        with pytest.raises(NotFound, match=id_):
            await desk.store.secrets.reveal(account, id_)


async def test_a_secret_without_a_value_says_so_at_its_use(desk: Desk) -> None:
    desk = await under(desk, NEW)
    secret = await made(desk)

    await desk.store.secrets.update(desk.caller, secret, {"value": None})

    with pytest.raises(SecretUnusable, match=f"{secret} has no value"):
        await desk.store.secrets.reveal(desk.account, secret)
    (row,) = await desk.rows("SELECT value, key FROM secret")
    assert (row["value"], row["key"]) == (None, None)


async def test_nothing_of_a_value_is_in_the_database(desk: Desk) -> None:
    desk = await under(desk, NEW)
    secret = await made(desk, name="a name")
    await desk.store.secrets.update(desk.caller, secret, {"value": SecretStr(VALUE)})

    dump = [postgres.binary("pg_dump"), "--data-only", "--dbname", desk.store.database.url]
    told = (await asyncio.to_thread(subprocess.run, dump, capture_output=True, check=True)).stdout.lower()

    assert b"a name" in told
    assert secret.encode() in told
    encoded = base64.b64encode(VALUE.encode())
    for trace in (b"canary", b"canary".hex().encode(), encoded, encoded.hex().encode(), NEW.hex().encode()):
        assert trace.lower() not in told


async def test_a_value_that_is_moved_to_another_row_does_not_open(desk: Desk) -> None:
    desk = await under(desk, NEW)
    theirs = Desk(desk.store, await desk.store.accounts.create("another"))
    secret, mine, foreign = await made(desk), await made(desk), await made(theirs)

    await desk.rows(
        "UPDATE secret SET (value, key) = (SELECT value, key FROM secret WHERE id = $1) WHERE id <> $1",
        secret,
    )

    assert await said(desk, secret)
    for owner, id_ in ((desk, mine), (theirs, foreign)):
        with pytest.raises(SecretUnusable, match=id_):
            await owner.store.secrets.reveal(owner.account, id_)


async def test_without_a_key_no_secret_is_made_and_the_setting_is_named(desk: Desk) -> None:
    for given in ({}, {"value": None}):
        with pytest.raises(NotServed, match="HOLDFAST_SECRET_KEYS"):
            await made(desk, **given)
    secret = await made(await under(desk, NEW))

    with pytest.raises(NotServed, match="HOLDFAST_SECRET_KEYS"):
        await desk.store.secrets.update(desk.caller, secret, {"value": SecretStr(VALUE)})
    with pytest.raises(SecretUnusable, match=f"{secret}.*{name(NEW)}.*HOLDFAST_SECRET_KEYS"):
        await desk.store.secrets.reveal(desk.account, secret)

    await desk.store.secrets.update(desk.caller, secret, {"name": "needs no key"})
    assert (await desk.store.secrets.fetch(desk.account, secret)).name == "needs no key"


async def test_a_rotation_brings_every_value_under_the_newest_key_in_batches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    before, after = await under(desk, OLD), await under(desk, NEW, OLD)
    secrets = [await made(before, value=SecretStr(f"canary:{n}")) for n in range(5)]
    new = await made(after)
    await before.store.secrets.update(before.caller, await made(before), {"value": None})
    stamps = await desk.rows("SELECT id, updated_at FROM secret ORDER BY id")

    checked = await after.store.rotation.check()
    first = await after.store.rotation.rotate()
    again = await after.store.rotation.rotate()
    alone = await under(desk, NEW)

    assert tuple(checked) == (1, 5, [])
    assert (tuple(first), tuple(again)) == ((5, []), (0, []))
    assert tuple(await alone.store.rotation.check()) == (6, 0, [])
    for n, secret in enumerate(secrets):
        expected = base64.b64encode(f"canary:{n}".encode()).decode()
        assert await said(alone, secret) == f"Basic {expected}"
    assert await said(alone, new)
    assert await desk.rows("SELECT id, updated_at FROM secret ORDER BY id") == stamps


async def test_a_rotation_leaves_alone_what_no_key_opens_and_names_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    lost = [await made(await under(desk, LOST)) for _ in range(3)]
    old = await made(await under(desk, OLD))
    after = await under(desk, NEW, OLD)
    rows = await desk.rows("SELECT * FROM secret WHERE id = ANY ($1) ORDER BY id", lost)

    assert tuple(await after.store.rotation.rotate()) == (1, lost)
    assert tuple(await after.store.rotation.rotate()) == (0, lost)
    assert tuple(await after.store.rotation.check()) == (1, 0, lost)
    assert await said(after, old)
    assert await desk.rows("SELECT * FROM secret WHERE id = ANY ($1) ORDER BY id", lost) == rows


async def test_what_is_written_during_a_rotation_stays_as_it_was_written(desk: Desk) -> None:
    before, after = await under(desk, OLD), await under(desk, NEW, OLD)
    secrets = [await made(before) for _ in range(20)]

    async def write(n: int) -> None:
        value = SecretStr(f"later:{n}")
        await before.store.secrets.update(before.caller, secrets[n], {"value": value})

    await asyncio.gather(*(write(n) for n in range(20)), *(after.store.rotation.rotate() for _ in range(3)))
    await after.store.rotation.rotate()

    alone = await under(desk, NEW)
    for n, secret in enumerate(secrets):
        shown = await alone.store.secrets.reveal(alone.account, secret)
        assert shown.value.get_secret_value() == f"later:{n}"


async def test_the_command_rotates_checks_and_says_how_many(house: House, desk: Desk) -> None:
    old, new = (base64.b64encode(one).decode() for one in (OLD, NEW))
    secret = await made(await under(desk, OLD))
    url = desk.store.database.url

    async def run(verb: str, keys: str) -> tuple[int, str, str]:
        return await command(house, "secrets", verb, url=url, HOLDFAST_SECRET_KEYS=keys)

    before = await run("check", f"{new},{old}")
    rotated = await run("rotate", f"{new},{old}")
    again = await run("rotate", f"{new},{old}")
    after = await run("check", new)
    lost = await run("check", old)
    none = await run("rotate", "")
    wrong = await run("check", f"{new},canary")

    assert before == (0, "0 under the newest key, 1 under older ones, 0 that no key opens", "")
    assert rotated == (0, "1 brought under the newest key", "")
    assert again == (0, "0 brought under the newest key", "")
    assert after == (0, "1 under the newest key, 0 under older ones, 0 that no key opens", "")
    assert lost[:2] == (1, "0 under the newest key, 0 under older ones, 1 that no key opens")
    assert secret in lost[2]
    assert "HOLDFAST_SECRET_KEYS" in lost[2]
    assert none[:2] == wrong[:2] == (1, "")
    assert "HOLDFAST_SECRET_KEYS" in none[2]
    assert "key 2 is not base64" in wrong[2]
    for _, _, complaint in (none, wrong):
        assert "Traceback" not in complaint
        assert "canary" not in complaint
