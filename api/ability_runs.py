"""One call of an ability, made by hand."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from starlette.responses import Response

from api import answers
from api.bodies import Body, Text
from api.call import Running
from api.completions import Tokens, accept
from api.lines import TOLD, Lines, Spoken
from api.signature import Answered
from api.wire import Item
from domain import ids
from domain.accept import Work
from domain.by_hand import asking
from domain.run import Asked


class Execute(Body):
    NOT_SERVED: ClassVar = frozenset({"contactId"})

    input: Text | None = None
    """The arguments, a JSON object in text; of an ability with one parameter, plain text is its value."""


class Executed(Item):
    """What came of the call."""

    usage: Tokens
    """Nothing: no model is asked."""
    error: str | None = None
    """Why it failed, in words."""
    result: Any | None = None
    """What it gave; of one that failed, what else the tool said of that."""
    messages: tuple[Spoken, ...] | None = None
    """The call and its answer."""
    run_id: str


_HEARD = ("message", "operationBegin", "operationEnd", "abort", "error")
LINES = Lines("ExecutedLine", {name: TOLD[name] for name in _HEARD} | {"result": Executed})


async def execute(call: Running, body: Execute) -> Annotated[Response, Answered(Executed, LINES)]:
    """Calls the ability as an agent would, without one. That it failed is an answer too."""
    place = (call.id("skillset"), call.id("ability"))
    ability = await call.store.abilities.fetch(call.account_id, *place)
    work = Work(
        run_id=ids.run(),
        caller=call.caller,
        lane="interactive",
        key=call.key(body),
        asked=Asked(call=asking(ability.id, ability.name, ability.instruction, body.input)),
        channel=ids.channel(),
    )
    return await answers.answer(call, await accept(call, work))
