"""Usage: tokens, conversations and messages of an account, a bot or a conversation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from starlette.responses import Response

from api import aliases
from api.call import Call
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Item
from domain.errors import BadRequest
from domain.paging import Page
from domain.usage import Period, UsedByRun
from store.usage import UsageFilter


class PeriodQuery(Query):
    """From one moment up to another: epoch milliseconds or ISO 8601, in UTC where no offset is given."""

    PAGED = False
    META = False
    KNOWN = frozenset({"from", "to"})

    @property
    def period(self) -> Period:
        """Raises BadRequest."""
        period = Period(begin=self._moment("from"), end=self._moment("to"))
        if period.begin and period.end and period.end < period.begin:
            raise BadRequest("to: lies before from")
        return period

    def _moment(self, name: str) -> datetime | None:
        text = self.one(name)
        if text is None:
            return None
        try:
            return _read(text).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise BadRequest(
                f"{name}: send epoch milliseconds, or a time like 2026-01-31T12:00:00Z (in a URL, + is %2B)."
            ) from None


def _read(text: str) -> datetime:
    if text.isascii() and text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class ConversationUsage(Item):
    tokens: int
    messages: int


class BotUsage(ConversationUsage):
    conversations: int


class DatabaseUsage(Item):
    """What upstream counts there; where nothing else is said, this server has none."""

    datasets: int = 0
    records: int = 0
    skillsets: int
    abilities: int
    files: int = 0
    users: int = 0


class AccountUsage(BotUsage):
    database: DatabaseUsage


class Point(Item):
    date: At
    """Midnight in UTC."""
    total: int


class Series(Item):
    tokens: tuple[Point, ...]
    conversations: tuple[Point, ...]
    messages: tuple[Point, ...]


class UsageItem(Item):
    id: str
    type: str
    """conversation/complete, which receive is too, conversation/dispatch, task, or integration/trigger"""
    count: int
    conversation_id: str | None = None
    message_id: str | None = None
    contact_id: str | None = None
    bot_id: str | None = None
    task_id: str | None = None
    trigger_id: str | None = None
    event_id: str | None = None
    """What set the trigger off."""
    created_at: At
    updated_at: At


class UsageQuery(Query):
    KNOWN = frozenset({"type", "conversationId", "messageId", "contactId", "botId", "taskId", "triggerId"})
    LATER = frozenset({"blueprintId", "datasetId", "skillsetId", "abilityId"})


async def fetch(call: Call) -> AccountUsage:
    """Since the first of the month, in UTC; `database` is what there is now."""
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    used = await call.store.usage.of_account(call.account_id, Period(begin=month))
    kept = DatabaseUsage.model_validate(await call.store.skillsets.kept(call.account_id))
    return AccountUsage(**dict(used), database=kept)


async def of_bot(call: Call, query: PeriodQuery) -> BotUsage:
    used = await call.store.usage.of_bot(call.account_id, call.id("bot"), query.period)
    return BotUsage.model_validate(used)


async def of_conversation(call: Call, query: PeriodQuery) -> ConversationUsage:
    conversation_id = call.id("conversation")
    used = await call.store.usage.of_conversation(call.account_id, conversation_id, query.period)
    return ConversationUsage.model_validate(used)


async def series(call: Call) -> Series:
    """Ninety days, today last; each day is there, so that the three series have their days in common."""
    days = await call.store.usage.series(call.account_id)
    counted = {
        name: tuple(Point(date=day.day, total=getattr(day, name)) for day in days)
        for name in Series.model_fields
    }
    return Series(**counted)


async def list_(call: Call, query: UsageQuery) -> Annotated[Response, Listed(UsageItem)]:
    """The tokens of each run that used some."""
    narrow = UsageFilter(
        types=query.some("type"),
        conversation_ids=query.some("conversationId"),
        bot_ids=await aliases.in_filter(call, "bot", query.some("botId")),
        contact_ids=query.some("contactId"),
        message_ids=query.some("messageId"),
        task_ids=query.some("taskId"),
        trigger_ids=await aliases.in_filter(call, "trigger", query.some("triggerId")),
    )

    async def page(at: Page) -> list[UsedByRun]:
        # None of these has meta, so none has what a filter asks for.
        return [] if query.meta else list(await call.store.usage.list(call.account_id, at, narrow))

    return await listed(call, query, page, UsageItem)
