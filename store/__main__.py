"""`python -m store`: migrates, makes accounts, their keys and their lists of web origins, rotates secrets."""

from __future__ import annotations

import argparse
import asyncio
import sys

import asyncpg
from pydantic import ValidationError

import settings
from domain.errors import HoldfastError, SecretUnusable
from store import Keyring, Store
from store.migrate import migrate


def main() -> None:
    arguments = _parser().parse_args()
    try:
        chosen = settings.load()
        url, keyring = chosen.database_url, Keyring(chosen.sealing_keys)
        work = _migrate(url) if arguments.noun == "migrate" else _manage(url, keyring, arguments)
        asyncio.run(work)
    except (HoldfastError, OSError, asyncpg.PostgresError, ValidationError) as trouble:
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
    secrets = nouns.add_parser("secrets").add_subparsers(dest="verb", required=True)
    secrets.add_parser("rotate", help="bring them all under the newest key of HOLDFAST_SECRET_KEYS")
    secrets.add_parser("check", help="how many are under which key, and which no key opens")
    return parser


async def _migrate(url: str) -> None:
    applied = await migrate(url)
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply")
    store = await Store.open(url)
    await store.upkeep.make_days()
    await store.close()


async def _manage(url: str, keyring: Keyring, arguments: argparse.Namespace) -> None:
    store = await Store.open(url, keyring=keyring)
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


async def _secrets(store: Store, arguments: argparse.Namespace) -> None:
    if arguments.verb == "rotate":
        sealed, unopened = await store.rotation.rotate()
        print(f"{sealed} brought under the newest key")
    else:
        newest, older, unopened = await store.rotation.check()
        print(f"{newest} under the newest key, {older} under older ones, {len(unopened)} that no key opens")
    if unopened:
        raise SecretUnusable(_UNOPENED.format(len(unopened), ", ".join(unopened[:10])))


_NOUNS = {"account": _account, "key": _key, "origin": _origin, "audit": _audit, "secrets": _secrets}
_UNOPENED = (
    "no key of HOLDFAST_SECRET_KEYS opens {} of them: add the keys that they were sealed under, or set their"
    " values again. The first: {}"
)


if __name__ == "__main__":
    main()
