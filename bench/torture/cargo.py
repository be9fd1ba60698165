"""Conversations that nobody touches, so many that a list of all has several pages and fills a connection."""

from __future__ import annotations

import asyncio

from bench.torture.history import History, Op
from bench.torture.ship import Ship
from domain.accept import Key
from domain.account import operator

COUNT = 220
WEIGHT = {"cargo": "x" * 4_000}


async def load(ship: Ship, history: History) -> None:
    """Brings them aboard before anything is broken; to the history they are conversations like any other."""
    await asyncio.gather(*(_stow(ship, history, number) for number in range(COUNT)))


async def _stow(ship: Ship, history: History, number: int) -> None:
    op = history.invoke(Op(f"op.cargo.{number}", "create"))
    key = Key(route="conversation/create", value=None, fingerprint=b"")
    op.made = await ship.store.conversations.create(operator(ship.account), key, {"meta": WEIGHT})
    history.over(op, "ok")
