"""Triggers: what outside events set to work, made, read, changed and removed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SecretStr
from starlette.responses import Response

from api import aliases, delivery_field
from api.aliases import Aliased
from api.bodies import WHOLE, Id
from api.call import Call, Keyed
from api.delivery_field import GivenDelivery, ShownDelivery
from api.lists import Query, listed
from api.secrets import Value
from api.signature import Listed
from api.tasks import Word
from api.wire import At, Item, Made, Object
from domain.pointer import Where
from domain.trigger import LONGEST_SESSION, MOST_SIGNING
from domain.verification import Verification


class Signed(Verification):
    """How a source signs its events, on their raw bytes."""

    secrets: Annotated[tuple[Value, ...], Field(min_length=1, max_length=MOST_SIGNING)]
    """What it signs with, as it shows it; two while it goes from one to the other. Never shown again."""


class TriggerBody(Aliased):
    """`description` is what the agent is told to do with an event."""

    NOT_SERVED: ClassVar = frozenset({"blueprintId"})

    bot_id: Id | None = None
    """Without one the default model answers; so it does once the bot is deleted."""
    authenticate: bool | None = None
    """Whether a source has to show the trigger's secret: exactly `Authorization: Bearer …`. It has, unless
    this is false; with `false` and no `verification` anybody may send events."""
    verification: Signed | None = None
    """How a source signs its events; then its signature is asked for instead of the trigger's secret."""
    event_id: Where | None = None
    """Where an event says which one it is: a second one of the same id is not worked on. Where nothing is
    said, the usual place of `verification`'s preset, else the header Idempotency-Key."""
    ordering_key: Where | None = None
    """Where an event says what it is about: of one key, one is worked on after another."""
    schedule: Annotated[Word | None, Field(examples=["0 7 * * 1-5"])] = None
    """When it is set off without an event, as a task's schedule says it."""
    timezone: Annotated[Word | None, Field(examples=["Europe/London"])] = None
    """Whose clocks the schedule follows, and the agent's: an IANA name; UTC without one."""
    session_duration: Annotated[int, Field(ge=0, le=LONGEST_SESSION), WHOLE] | None = None
    """Milliseconds that the events of one session share a conversation; 0: each has its own. A day, if
    nothing is said."""
    delivery: GivenDelivery | None = None
    """Where the results of its runs are sent."""

    def given(self) -> dict[str, Any]:
        """As any body's; `signing` is the secrets of the source."""
        given = super().given()
        if "verification" in given:
            signed: Signed | None = given["verification"]
            given["signing"] = None if signed is None else signed.secrets
            plain = None if signed is None else Verification(**signed.model_dump(exclude={"secrets"}))
            given["verification"] = plain
        return given


class VerificationItem(Item):
    preset: str
    header: str | None = None
    algorithm: str | None = None
    encoding: str | None = None
    prefix: str | None = None
    tolerance: int | None = None
    secret_count: int | None = None
    """How many secrets it may be signed with; they are not shown."""


class WhereItem(Item):
    header: str | None = None
    pointer: str | None = None


def _revealed(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value()


class TriggerItem(Object):
    alias: str | None = None
    bot_id: str | None = None
    secret: Annotated[str, BeforeValidator(_revealed)]
    """What a source shows. It is empty where this server has no key that opens it."""
    authenticate: bool
    """With `false` and no `verification`, anybody who knows the trigger's id may send events."""
    verification: Annotated[VerificationItem | None, Field(validation_alias="signs")] = None
    event_id: WhereItem | None = None
    ordering_key: WhereItem | None = None
    schedule: str | None = None
    """Of a date that is over nothing is left."""
    timezone: str | None = None
    session_duration: int | None = None
    last_trigger_at: At | None = None
    """When something last set it off."""
    next_trigger_at: At | None = None
    """When its schedule sets it off next."""
    delivery: ShownDelivery | None = None
    """Where the results of its runs are sent."""


class TriggerQuery(Query):
    KNOWN = MANY = frozenset({"botId"})


async def create(call: Keyed, body: TriggerBody) -> Made:
    """It has a secret from the beginning; fetch shows it."""
    given = delivery_field.in_body(call, await aliases.in_body(call, body.given()))
    shortest = call.desk.shortest_period_ms
    return Made(id=await call.store.triggers.create(call.caller, call.key(body), given, shortest))


async def fetch(call: Call) -> TriggerItem:
    return TriggerItem.model_validate(await call.store.triggers.fetch(call.account_id, call.id("trigger")))


async def list_(call: Call, query: TriggerQuery) -> Annotated[Response, Listed(TriggerItem)]:
    bots = await aliases.in_filter(call, "bot", query.some("botId"))
    return await listed(
        call,
        query,
        lambda page: call.store.triggers.list(call.account_id, page, query.meta, bots),
        TriggerItem,
    )


async def update(call: Call, body: TriggerBody) -> Made:
    """What was due before is decided as it was said before. `verification`, `eventId` and `orderingKey` are
    replaced whole."""
    trigger_id = call.id("trigger")
    given = delivery_field.in_body(call, await aliases.in_body(call, body.given()))
    shortest = call.desk.shortest_period_ms
    call.desk.decided(await call.store.triggers.update(call.caller, trigger_id, given, shortest))
    return Made(id=trigger_id)


async def delete(call: Call) -> Made:
    """Ends its runs and removes it with its events; the conversations of its runs stay."""
    trigger_id = call.id("trigger")
    for stopped in await call.store.triggers.delete(call.caller, trigger_id):
        call.desk.tell(stopped.cancel, "deleted")
        call.desk.start(stopped.start)
    return Made(id=trigger_id)


async def setup(call: Call) -> Made:
    """Has its schedule told to Temporal anew; otherwise it changes nothing."""
    trigger_id = call.id("trigger")
    await call.store.triggers.setup(call.account_id, trigger_id)
    return Made(id=trigger_id)
