"""`python -m store`: migrates, and makes accounts and keys that open the door until they are revoked."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

from store.migrate import names
from tests.house import ROOT, House


async def store(house: House, *words: str, url: str | None = None, **chosen: str) -> tuple[int, str, str]:
    """The exit status, output and complaint of one command."""
    env = house.env | {"DATABASE_URL": url or house.database_url} | chosen
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "store", *words],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


async def test_migrate_says_what_it_applied(house: House, empty: str) -> None:
    first = await store(house, "migrate", url=empty)
    second = await store(house, "migrate", url=empty)

    assert first == (0, f"applied {', '.join(names())}", "")
    assert second == (0, "nothing to apply", "")


async def test_a_key_opens_the_door_until_it_is_revoked(house: House) -> None:
    _, account, _ = await store(house, "account", "create", "--name", "Ada & Co")
    _, key, _ = await store(house, "key", "create", "--account", account, "--name", "laptop")
    async with house.api(key=key) as api:
        bot = (await api.ok("/v1/bot/create"))["id"]
        opened = (await api.get(f"/v1/bot/{bot}/fetch")).status
        _, listed, _ = await store(house, "key", "list", "--account", account)
        key_id = listed.split()[0]
        revoked = await store(house, "key", "revoke", key_id)
        again = await store(house, "key", "revoke", key_id)
        closed = await api.get(f"/v1/bot/{bot}/fetch")
    _, after, _ = await store(house, "key", "list", "--account", account)

    assert account.startswith("acct_")
    assert re.fullmatch(r"sk-[\w-]{43}", key)
    assert listed == f"{key_id} active laptop"
    assert after == f"{key_id} revoked laptop"
    assert revoked == again == (0, "", "")
    assert (opened, closed.status, closed.body["code"]) == (200, 401, "NOT_AUTHENTICATED")


async def test_only_the_hash_of_a_key_is_kept(house: House) -> None:
    account, key = await house.new_account("another")

    rows = await house.rows("SELECT k::text AS text FROM api_key k WHERE account_id = $1", account)

    assert rows
    assert all(key not in row["text"] and key[3:] not in row["text"] for row in rows)


async def test_what_cannot_be_done_is_said_in_one_line(house: House) -> None:
    for words in (
        ("key", "create", "--account", "acct_nobody"),
        ("key", "revoke", "key_nobody"),
        ("origin", "add", "--account", "acct_nobody", "https://www.example.com"),
        ("origin", "remove", "--account", house.account, "https://not-listed.example"),
    ):
        status, out, complaint = await store(house, *words)
        assert (status, out) == (1, "")
        assert complaint.count("\n") == 0
        assert "python -m store" in complaint
    status, _, complaint = await store(house, "migrate", url="postgresql://x@127.0.0.1:1/x")
    assert status == 1
    assert "Traceback" not in complaint


async def test_an_accounts_web_origins_are_listed_and_removed(house: House) -> None:
    account, _ = await house.new_account("with a site")
    site = f"https://{account.replace('_', '-')}.example"

    added = [await store(house, "origin", "add", "--account", account, site) for _ in range(2)]
    listed = await store(house, "origin", "list", "--account", account)
    removed = await store(house, "origin", "remove", "--account", account, site)
    nothing = await store(house, "origin", "list", "--account", account)

    assert added == [(0, "", ""), (0, "", "")]
    assert (listed, removed, nothing) == ((0, site, ""), (0, "", ""), (0, "", ""))
    acts = [entry.type for entry in await house.store.audit.newest(account)]
    assert acts == ["origin.remove", "origin.add", "key.create", "account.create"]
