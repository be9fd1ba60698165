"""`python -m store`: migrates, and makes accounts, their keys and their lists of web origins."""

from __future__ import annotations

import argparse
import asyncio
import sys

import asyncpg

import settings
from domain.errors import HoldfastError
from store import Store
from store.migrate import migrate


def main() -> None:
    arguments = _parser().parse_args()
    url = settings.load().database_url
    try:
        asyncio.run(_migrate(url) if arguments.noun == "migrate" else _manage(url, arguments))
    except (HoldfastError, OSError, asyncpg.PostgresError) as trouble:
        sys.exit(f"{arguments.noun}: {getattr(trouble, 'message', None) or trouble}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m store", description=__doc__)
    nouns = parser.add_subparsers(dest="noun", required=True)
    nouns.add_parser("migrate", help="bring the database of DATABASE_URL to this version")
    account = nouns.add_parser("account").add_subparsers(dest="verb", required=True)
    account.add_parser("create", help="prints the new account's id").add_argument("--name", required=True)
    key = nouns.add_parser("key").add_subparsers(dest="verb", required=True)
    create = key.add_parser("create", help="prints a new key; it is shown this once")
    create.add_argument("--account", required=True)
    create.add_argument("--name", default="")
    key.add_parser("list", help="a line each: id, state, name").add_argument("--account", required=True)
    key.add_parser("revoke", help="closes a key's door").add_argument("id")
    origin = nouns.add_parser("origin").add_subparsers(dest="verb", required=True)
    for verb, told in (("add", "pages from there may read the account's answers"), ("remove", "no longer")):
        one = origin.add_parser(verb, help=told)
        one.add_argument("--account", required=True)
        one.add_argument("origin", help="like https://www.example.com")
    origin.add_parser("list", help="a line each").add_argument("--account", required=True)
    audit = nouns.add_parser("audit").add_subparsers(dest="verb", required=True)
    newest = audit.add_parser("list", help="the newest hundred entries of an account, or of nobody")
    newest.add_argument("--account")
    return parser


async def _migrate(url: str) -> None:
    applied = await migrate(url)
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply")
    store = await Store.open(url)
    await store.upkeep.make_days()
    await store.close()


async def _manage(url: str, arguments: argparse.Namespace) -> None:
    store = await Store.open(url)
    try:
        await _NOUNS[arguments.noun](store, arguments)
    finally:
        await store.close()


async def _account(store: Store, arguments: argparse.Namespace) -> None:
    print(await store.accounts.create(arguments.name))


async def _key(store: Store, arguments: argparse.Namespace) -> None:
    match arguments.verb:
        case "create":
            print(await store.accounts.create_key(arguments.account, arguments.name))
        case "list":
            for row in await store.accounts.keys(arguments.account):
                print(row["id"], "revoked" if row["revoked_at"] else "active", row["name"])
        case "revoke":
            await store.accounts.revoke_key(arguments.id)


async def _origin(store: Store, arguments: argparse.Namespace) -> None:
    match arguments.verb:
        case "add":
            await store.origins.add(arguments.account, arguments.origin)
        case "list":
            for origin in await store.origins.list(arguments.account):
                print(origin)
        case "remove":
            await store.origins.remove(arguments.account, arguments.origin)


async def _audit(store: Store, arguments: argparse.Namespace) -> None:
    for entry in await store.audit.newest(arguments.account):
        print(entry.created_at.isoformat("T", "seconds"), entry.type, entry.about, entry.meta)


_NOUNS = {"account": _account, "key": _key, "origin": _origin, "audit": _audit}


if __name__ == "__main__":
    main()
