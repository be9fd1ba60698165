"""The sabotages of triggers and deliveries."""

from __future__ import annotations

from typing import Any

from bench.torture.points import find
from bench.torture.sabotage import Sabotage, nothing, put, swap
from domain import ids
from domain.webhook import Answered

_ONCE = (
    "ON CONFLICT (trigger_id, provider_id) WHERE provider_id IS NOT NULL AND run_id IS NOT NULL"
    " AND once DO NOTHING"
)


def _each_copy_another() -> None:
    """An event that comes again is another one."""
    swap("trigger_runs", "keep", _ONCE, "")


def _no_line() -> None:
    """Events of one key go as they come."""
    put("domain.trigger_event:Occasion.line", None)


def _no_delivery() -> None:
    """A run's end makes no deliveries."""
    put("store.results:send", nothing)


def _swallowed() -> None:
    """A result that is to be sent is noted as taken."""

    async def send(*_: object) -> Answered:
        return Answered(status=204, sent=True, milliseconds=1)

    put("activities.outbound.webhooks:Webhooks.send", send)


def _another_id() -> None:
    """Each attempt has an id of its own."""
    original = find("store.sending:Sending.webhook")[0].webhook

    def webhook(self: Any, taken: Any) -> Any:
        return original(self, taken).model_copy(update={"delivery_id": ids.delivery()})

    put("store.sending:Sending.webhook", webhook)


def _given_up() -> None:
    """What was not taken at once is not sent again."""
    original = find("store.sending:Sending.note")[0].note

    async def note(self: Any, hold: Any, came: Any, pace: Any) -> Any:
        return await original(self, hold, came.model_copy(update={"final": True}), pace)

    put("store.sending:Sending.note", note)


TRIGGER_SABOTAGES = {
    "no_dedupe": Sabotage(
        "an event has one name",
        "one event many times",
        "each event has one run",
        _each_copy_another,
        "DROP INDEX trigger_event_once",
    ),
    "no_order": Sabotage(
        "events of one key go one at a time",
        "events of one key",
        "events of one key run in order",
        _no_line,
    ),
    "no_delivery": Sabotage(
        "a delivery is made with the end of its run",
        "results to deliver",
        "deliveries are what ends call for",
        _no_delivery,
    ),
    "swallow_delivery": Sabotage(
        "what is noted as delivered has arrived",
        "results to deliver",
        "what is delivered has arrived",
        _swallowed,
    ),
    "new_id": Sabotage(
        "a delivery has one id", "killed after the post", "nothing arrives that is not committed", _another_id
    ),
    "give_up": Sabotage(
        "what was not taken is sent again", "results to deliver", "what is given up was tried", _given_up
    ),
}
