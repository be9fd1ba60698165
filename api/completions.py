"""The completion endpoints: stateless and stateful, answered at once or through a channel."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse, Response, StreamingResponse

from api import aliases, answers
from api.bodies import WHOLE, Body, Id, Model, Spoken, Text
from api.call import Call, Keyed, Turn, Zoned
from api.contacts import ContactObject
from api.delivery_field import GivenDelivery, of_call
from api.equipment import Equipped, GivenLimits, equipment
from api.given import GivenMessage, new_messages
from api.lines import Lines, turn
from api.signature import Answered
from api.streams import MEDIA_TYPE, framed
from api.wire import Item, Made
from domain import at_hand, events, ids
from domain.accept import Accepted, Work
from domain.conversation import NewMessage, OnBusy
from domain.model import parse as parse_model
from domain.run import Asked, Lane

_CONFIGURED = frozenset({"datasetId", "privacy", "moderation"})

ChannelId = Annotated[str, StringConstraints(min_length=24, max_length=255, pattern=r"^[!-~]+$")]


class Complete(Equipped):
    """conversation/complete: everything the model shall know."""

    NOT_SERVED: ClassVar = Equipped.NOT_SERVED | _CONFIGURED | {"attachments", "namespace", "debug"}

    messages: Annotated[tuple[GivenMessage, ...], Field(min_length=1, max_length=10_000, fail_fast=True)]
    bot_id: Id | None = None
    contact_id: Id | ContactObject | None = None
    model: Model | None = None
    backstory: Text | None = None
    limits: GivenLimits | None = None
    skillset_id: Id | None = None
    """Whose abilities its agent has, instead of those of its bot's."""


class Dispatch(Complete):
    channel_id: ChannelId | None = None
    delivery: GivenDelivery | None = None
    """Where its result is sent."""


class Send(Body):
    # Upstream takes functions and extensions here, and nothing comes of them: this call runs no agent.
    NOT_SERVED: ClassVar = frozenset({"entities", "functions", "extensions"})

    text: Spoken


class Receive(Equipped):
    on_busy: OnBusy | None = None
    """What happens to the conversation's other turns; the conversation says if the call does not."""
    batch_ms: Annotated[int, Field(ge=0, le=60_000), WHOLE] | None = None
    """Milliseconds until the turn begins; calls that come meanwhile become part of it."""


class TurnComplete(Receive):
    NOT_SERVED: ClassVar = Equipped.NOT_SERVED | {"entities"}

    text: Spoken | None = None
    limits: GivenLimits | None = None


class TurnDispatch(TurnComplete):
    channel_id: ChannelId | None = None
    delivery: GivenDelivery | None = None
    """Where its result is sent; if another run answers for it, that one's."""


class Tokens(Item):
    token: int


class End(Item):
    reason: str


class ToAnswer(Item):
    """A call of a function that the caller is to make and to answer with a response, or what led to it."""

    type: str
    text: str
    meta: dict[str, Any] | None = None


class Completed(Item):
    """The answer of a stateless completion."""

    text: str
    usage: Tokens
    end: End
    messages: tuple[ToAnswer, ...] | None = None
    """Of one that ended for its caller's turn: the calls to be answered.

    A stateless one has all that its agent said and did before them, too: in the next call these messages and
    the responses follow the request's own.
    """
    outcome: str | None = None
    """What the agent said of its own background run: success or failure."""
    run_id: str


class Turned(Completed):
    """The answer of a turn; its id is the assistant message's."""

    id: str


class Sent(Made):
    entities: tuple[dict[str, Any], ...] = ()


class Dispatched(Item):
    channel_id: str
    run_id: str


STATELESS = Lines("CompletionLine", turn(Completed))
STATEFUL = Lines("TurnLine", turn(Turned))


async def complete(call: Turn, body: Complete) -> Annotated[Response, Answered(Completed, STATELESS)]:
    """Answers the messages of its body; nothing is kept."""
    return await answers.answer(call, await _accept(call, body, "interactive"))


async def dispatch(call: Zoned, body: Dispatch) -> Annotated[Response, Dispatched]:
    """As the stateless complete, in the background; the answer is heard on its channel."""
    return answers.channel(await answers.take_up(call, await _accept(call, body, "background")))


async def receive(call: Turn, body: Receive) -> Annotated[Response, Answered(Turned, STATEFUL)]:
    """Runs the agent on what is stored."""
    return await answers.answer(call, await _accept_turn(call, body, "interactive"))


async def turn_complete(call: Turn, body: TurnComplete) -> Annotated[Response, Answered(Turned, STATEFUL)]:
    """Send and receive in one; without text it goes on from what is stored."""
    return await answers.answer(call, await _accept_turn(call, body, "interactive"))


async def turn_dispatch(call: Zoned, body: TurnDispatch) -> Annotated[Response, Dispatched]:
    """As complete, in the background; the answer is heard on its channel."""
    return answers.channel(await answers.take_up(call, await _accept_turn(call, body, "background")))


async def send(call: Keyed, body: Send) -> Annotated[Response, Answered(Sent)]:
    """Appends the user's message at once, whatever turn is running; the agent is not run."""
    shape = call.shape
    message = NewMessage(type="user", text=body.text)
    conversation_id = call.id("conversation")
    message_id = await call.store.messages.create(call.caller, conversation_id, call.key(body), message)
    sent = Sent(id=message_id)
    if shape == "json":
        return JSONResponse(sent.shown())
    line = f'{{"type":"result","data":{events.rendered(sent.shown())},"seq":1}}'
    return StreamingResponse(iter([framed(line, shape, 1)]), media_type=MEDIA_TYPE[shape])


async def _accept(call: Zoned, body: Complete, lane: Lane) -> Accepted:
    check_model(body.model)
    contact = body.contact_id
    named = body.channel_id if isinstance(body, Dispatch) else None
    own = {
        "messages": new_messages(body.messages),
        "model": body.model,
        "backstory": body.backstory,
        "skillset_id": body.skillset_id and await aliases.named(call, "skillset", body.skillset_id),
    }
    asked = (await _asked(call, body, named, lane)).model_copy(update=own)
    work = Work(
        run_id=ids.run(),
        caller=call.caller,
        lane=lane,
        key=call.key(body),
        asked=asked,
        bot_id=body.bot_id and await aliases.named(call, "bot", body.bot_id),
        contact_id=contact if isinstance(contact, str) else None,
        contact=contact.given() if isinstance(contact, ContactObject) else None,
        channel=named or ids.channel(),
        destinations=of_call(call, body.delivery) if isinstance(body, Dispatch) else (),
    )
    return await accept(call, work)


async def _accept_turn(call: Zoned, body: Receive, lane: Lane) -> Accepted:
    named = body.channel_id if isinstance(body, TurnDispatch) else None
    text = body.text if isinstance(body, TurnComplete) else None
    asked = (await _asked(call, body, named, lane)).model_copy(update={"text": text})
    work = Work(
        run_id=ids.run(),
        caller=call.caller,
        lane=lane,
        key=call.key(body),
        asked=asked,
        conversation_id=call.id("conversation"),
        channel=named or ids.channel(),
        on_busy=body.on_busy,
        destinations=of_call(call, body.delivery) if isinstance(body, TurnDispatch) else (),
        batch_ms=body.batch_ms or 0,
    )
    return await accept(call, work)


async def _asked(call: Zoned, body: Equipped, named: str | None, lane: Lane) -> Asked:
    """All but the words; `named` is the channel the caller chose."""
    limits = body.limits if isinstance(body, Complete | TurnComplete) else None
    asked = await equipment(call, body, limits, dispatched_to=named, background=lane == "background")
    return asked.model_copy(update={"timezone": call.timezone})


async def accept(call: Call, work: Work) -> Accepted:
    """Makes a run durable. Raises what `store.accept.run` raises, and BadRequest for a wrong Accept."""
    _ = call.shape  # a wrong Accept is refused before anything is accepted
    at_hand.add(run_id=work.run_id)
    named = {"holdfast.run.id": work.run_id}
    traces, trace = call.desk.telemetry.traces, call.request.state.traceparent
    with traces.span("accept", "internal", trace, named) as span:
        accepted = await call.store.accept.run(work.model_copy(update={"traceparent": span.traceparent}))
    at_hand.add(run_id=accepted.run.id)
    if not accepted.again:
        call.desk.telemetry.meters.accepted(accepted.run.kind, accepted.run.lane)
    return accepted


def check_model(model: str | None) -> None:
    """Raises BadRequest for a string that names no model."""
    if model is not None:
        parse_model(model)
