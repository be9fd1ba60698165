"""The audit log: who did what, to what, from where; ids and codes, never words."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from domain.account import Caller
from domain.base import Frozen

Act = Literal[
    "bot.create",
    "bot.update",
    "bot.delete",
    "contact.create",
    "contact.update",
    "contact.delete",
    "conversation.create",
    "conversation.update",
    "conversation.delete",
    "message.create",
    "message.update",
    "message.delete",
    "skillset.create",
    "skillset.update",
    "skillset.delete",
    "ability.create",
    "ability.update",
    "ability.delete",
    "session.create",
    "session.refused",
    "rating.create",
    "secret.create",
    "secret.update",
    "secret.delete",
    "task.create",
    "task.update",
    "task.delete",
    "task.cancel",
    "task.pause",
    "task.resume",
    "task.skip",
    "task.unskip",
    "task.backfill",
    "task.skipped",
    "task.missed",
    "task.healed",
    "trigger.create",
    "trigger.update",
    "trigger.delete",
    "trigger.skipped",
    "trigger.missed",
    "trigger.healed",
    "target.create",
    "target.update",
    "target.remove",
    "target.rotate",
    "target.enable",
    "target.test",
    "delivery.redeliver",
    "delivery.delete",
    "trigger.replay",
    "trigger.refused",
    "channel.publish",
    "run.create",
    "run.budget",
    "run.succeeded",
    "run.failed",
    "run.canceled",
    "run.interrupted",
    "run.rolled_back",
    "run.merged",
    "account.create",
    "key.create",
    "key.revoke",
    "key.refused",
    "origin.add",
    "origin.remove",
]
"""What the log tells of, `noun.verb`; of a run also how it ended."""


class Entry(Frozen):
    """One line of the log; it never changes."""

    id: str
    type: str
    about: dict[str, Any]
    """The ids it concerns, by the names of the wire: `conversationId`, `botId` …"""
    meta: dict[str, Any]
    """`actor`: the key or session that acted, `operator` or `server`; of a run that ended by itself nobody ·
    `address` · `code` · `mergedInto`: the run that answers for a merged one."""
    created_at: datetime


def by(caller: Caller | None) -> dict[str, str]:
    """Who acted and from where, as `meta` has it; nobody where a run came to its own end."""
    if caller is None:
        return {}
    return {"actor": caller.actor} | ({"address": caller.address} if caller.address else {})
