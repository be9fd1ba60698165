"""A trigger's events and deliveries of their results in a sound house, and what may be wrong with them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.torture import deliveries, signing, trigger_events
from bench.torture.evidence import Evidence
from bench.torture.history import Op
from bench.torture.triggers import body_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
SOON = AT.timestamp()
TRIGGER, HOOK, MAIL = "trig1", "tgt1", "tgt2"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NAMES = ("ev1", "ev2", "hand1")
URL = "http://sink/call/1"


def with_trigger(found: Evidence, run: dict[str, Any]) -> Evidence:
    """Two events of one key, the first of which was posted twice and then came with another body; a call by
    hand; a request that was refused; a dispatch. Each result came to a webhook when it was tried again, and
    all but the dispatch's by e-mail. `run` is any of a trigger's."""
    found.targets = {
        HOOK: _target("webhook", trigger_id=TRIGGER, url="http://sink/trigger"),
        MAIL: _target("email", trigger_id=TRIGGER),
        "tgt3": _target("webhook", url=URL) | {"id": "tgt3"},
    }
    found.targets[HOOK]["id"], found.targets[MAIL]["id"] = HOOK, MAIL
    found.secrets = {HOOK: SECRET, "tgt3": SECRET}
    for number, name in enumerate(NAMES):
        _set_off(found, run, number, name)
    found.runs["sent1"] = run | _times(9) | {"id": "sent1", "kind": "completion", "targets": ["tgt3"]}
    _deliver(found, "sent1", "tgt3")
    for target in (HOOK, MAIL):
        for name in NAMES:
            _deliver(found, name, target)
    found.ops = [*found.ops, *_ops(found)]
    _tell(found)
    return found


def _target(kind: str, **of: Any) -> dict[str, Any]:
    nothing = {"task_id": None, "trigger_id": None, "url": None, "removed_at": None}
    return nothing | {"kind": kind, "events": ["completed", "failed"]} | of


def _times(number: int) -> dict[str, Any]:
    at = AT + timedelta(seconds=10 * number)
    return {"created_at": at, "admitted_at": at, "begun_at": at, "ended_at": at + timedelta(seconds=1)}


def _set_off(found: Evidence, run: dict[str, Any], number: int, name: str) -> None:
    of = {"id": name, "trigger_id": TRIGGER, "kind": "trigger_event", "targets": None}
    found.runs[name] = run | _times(number) | of
    order = "one" if name.startswith("ev") else None
    source = "event" if order else "invoke"
    row = {"id": f"tev-{name}", "trigger_id": TRIGGER, "source": source, "run_id": name, "verified": "github"}
    body = json.dumps({"id": name, "key": order, "text": f"canary {name}"}).encode() if order else b"{}"
    found.received.append(row | {"provider_id": name if order else None, "ordering_key": order, "body": body})


def _deliver(found: Evidence, run_id: str, target_id: str) -> None:
    """Twice: the first time it was not taken."""
    run, name = found.runs[run_id], f"dlv-{run_id}-{target_id}"
    noun = "trigger" if run["trigger_id"] else "conversation"
    data = {"runId": run_id, "state": run["state"], "text": "", "textOmitted": False}
    body = json.dumps({"type": f"{noun}.completed", "data": data}).encode()
    made = run["ended_at"]
    found.deliveries[name] = {
        **{"id": name, "run_id": run_id, "target_id": target_id, "body": body, "type": f"{noun}.completed"},
        **{"state": "delivered", "attempts": 2, "error_code": None, "created_at": made},
        "ended_at": made + timedelta(seconds=3),
    }
    for number, taken in ((1, False), (2, True)):
        begun = made + timedelta(seconds=number)
        tried = {"delivery_id": name, "target_id": target_id, "number": number}
        found.attempts.append(tried | {"begun_at": begun, "ended_at": begun + timedelta(seconds=0.5)})
        came: dict[str, Any] = {"at": begun.timestamp(), "taken": taken}
        if target_id == MAIL:
            raw = b"Message-ID: it\r\n\r\n===============%d==\r\n%s" % (number, body)
            told = {"id": f"<{name}@example.com>", "raw": base64.b64encode(raw).decode()}
            found.letters.append(came | told)
        else:
            headers = _signed(name, body, begun.timestamp())
            said = base64.b64encode(body).decode()
            found.webhooks.append(came | {"path": "/call", "headers": headers, "body": said})


def _signed(name: str, body: bytes, at: float) -> dict[str, str]:
    made = signing.standard(SECRET, name, body, int(at))
    return {header.lower(): value for header, value in made.items()}


def _ops(found: Evidence) -> list[Op]:
    first = Op("op.e.1", "event", "canary ev1", trigger=TRIGGER, event="ev1", order="one")
    second = Op("op.e.2", "event", "canary ev2", trigger=TRIGGER, event="ev2", order="one")
    other = Op("op.e.3", "other event", "another", trigger=TRIGGER, event="ev1", order="one")
    forged = Op("op.e.4", "forged event", "nobody's", trigger=TRIGGER, event="ev3")
    by_hand = Op("op.e.5", "invoke", trigger=TRIGGER, run="hand1")
    sent = Op("op.e.6", "dispatch to nobody", run="sent1", delivers=URL)
    made = Op("op.e.7", "connect", made=TRIGGER)
    for number, op in enumerate((made, first, second, other, forged, by_hand, sent)):
        op.outcome, op.began_at, op.over_at = "ok", SOON + number, SOON + number + 0.5
        op.acknowledged_at = op.over_at
    first.told = [_answer("ev1", False), _answer("ev1", True)]
    second.told, by_hand.told = [_answer("ev2", False)], [_answer("hand1", False)]
    for op, refusal in ((other, "CONFLICT"), (forged, "NOT_AUTHENTICATED")):
        op.outcome, op.error, op.refusal, op.forbidden = "fail", refusal, refusal, True
    kept = found.received[0] | {"id": "tev-other", "run_id": None, "body": body_of(other)}
    found.received.append(kept)
    return [made, first, second, other, forged, by_hand, sent]


def _answer(name: str, again: bool) -> dict[str, Any]:
    return {"eventId": f"tev-{name}", "runId": name, "duplicate": again}


def _tell(found: Evidence) -> None:
    """What the audit log has of it, and whoever follows it."""
    acts = [("trigger.create", "triggerId", TRIGGER)]
    for name in (*NAMES, "sent1"):
        acts += [("run.create", "runId", name), ("run.succeeded", "runId", name)]
    entries: list[dict[str, Any]] = [
        {"id": f"g{number}", "type": act, "about": {noun: name}, "meta": {}}
        for number, (act, noun, name) in enumerate(acts)
    ]
    found.audit += entries
    next(op for op in found.ops if op.kind == "follow").listed += [entry["id"] for entry in entries]


def _op(found: Evidence, kind: str) -> Op:
    return next(op for op in found.ops if op.kind == kind)


def _delivery(found: Evidence) -> dict[str, Any]:
    return found.deliveries[f"dlv-ev1-{HOOK}"]


def run_one_event_twice(found: Evidence) -> None:
    found.received.append(found.received[0] | {"id": "tev-more", "run_id": "hand1"})


def lose_an_event(found: Evidence) -> None:
    del found.received[0]


def leave_an_event_waiting(found: Evidence) -> None:
    found.runs["ev1"]["ended_at"] = None


def run_what_was_refused(found: Evidence) -> None:
    found.received[-1]["run_id"] = "hand1"


def keep_what_nobody_signed(found: Evidence) -> None:
    forged = _op(found, "forged event")
    row = found.received[0] | {"provider_id": "ev3", "body": body_of(forged)}
    found.received.append(row)


def tell_a_copy_of_another_run(found: Evidence) -> None:
    _op(found, "event").told[1] = _answer("ev2", True)


def call_both_copies_new(found: Evidence) -> None:
    _op(found, "event").told[1]["duplicate"] = False


def change_what_was_posted(found: Evidence) -> None:
    found.received[0]["body"] += b" "


def lose_what_was_refused(found: Evidence) -> None:
    found.received.pop()


def run_for_nothing(found: Evidence) -> None:
    found.runs["ev9"] = found.runs["ev1"] | {"id": "ev9"}


def receive_what_nobody_posted(found: Evidence) -> None:
    found.runs["ev9"] = found.runs["ev1"] | {"id": "ev9"}
    found.received.append(found.received[0] | {"id": "tev-9", "run_id": "ev9", "provider_id": "ev9"})


def set_it_off_twice_by_hand(found: Evidence) -> None:
    found.runs["hand2"] = found.runs["hand1"] | {"id": "hand2"}
    found.received.append(found.received[2] | {"id": "tev-hand2", "run_id": "hand2"})


def run_two_of_a_key_at_once(found: Evidence) -> None:
    found.runs["ev1"]["ended_at"] = AT + timedelta(seconds=11)


def run_the_second_first(found: Evidence) -> None:
    found.runs["ev1"] |= _times(5)


def deliver_nothing(found: Evidence) -> None:
    del found.deliveries[f"dlv-ev1-{HOOK}"]


def deliver_twice(found: Evidence) -> None:
    found.deliveries["dlv-more"] = _delivery(found) | {"id": "dlv-more"}


def deliver_to_whom_did_not_ask(found: Evidence) -> None:
    found.targets[HOOK]["events"] = ["failed"]


def forget_where_a_call_wanted_it(found: Evidence) -> None:
    found.targets["tgt3"]["url"] = "http://sink/elsewhere"


def leave_it_on_its_way(found: Evidence) -> None:
    _delivery(found)["state"] = "pending"


def note_what_never_arrived(found: Evidence) -> None:
    found.webhooks = [line for line in found.webhooks if not line["taken"]]


def note_a_letter_that_was_dropped(found: Evidence) -> None:
    for line in found.letters:
        line["taken"] = False


def give_up_too_early(found: Evidence) -> None:
    _delivery(found).update(state="dead", error_code="EXHAUSTED")


def give_up_a_lost_plan(found: Evidence) -> None:
    _delivery(found).update(state="dead", error_code="PLAN_LOST")


def send_under_another_id(found: Evidence) -> None:
    found.webhooks[-1]["headers"]["webhook-id"] = "dlv-another"


def send_before_the_commit(found: Evidence) -> None:
    _delivery(found)["created_at"] += timedelta(seconds=60)


def say_something_else_the_second_time(found: Evidence) -> None:
    found.webhooks[-1]["body"] = base64.b64encode(b"{}").decode()


def write_another_letter_the_second_time(found: Evidence) -> None:
    found.letters[-1]["raw"] = base64.b64encode(b"another").decode()


def sign_with_another_secret(found: Evidence) -> None:
    found.secrets[HOOK] = "whsec_" + base64.b64encode(b"j" * 32).decode()


def sign_an_old_time(found: Evidence) -> None:
    for line in found.webhooks:
        line["at"] += 1_000


def send_more_often_than_tried(found: Evidence) -> None:
    found.webhooks.append(found.webhooks[-1])


def ask_too_many_at_once(found: Evidence) -> None:
    found.attempts += [found.attempts[0] | {"delivery_id": f"dlv{number}"} for number in range(9)]


def tell_of_another_end(found: Evidence) -> None:
    found.runs["ev1"]["state"] = "canceled"


def tell_other_words(found: Evidence) -> None:
    body = json.loads(_delivery(found)["body"])
    body["data"] |= {"messageId": "m2", "text": hashlib.sha256(b"").hexdigest()}
    _delivery(found)["body"] = json.dumps(body).encode()


CASES: list[tuple[Callable[[Evidence], None], Callable[[Evidence], Any]]] = [
    (run_one_event_twice, trigger_events.each_event_has_one_run),
    (lose_an_event, trigger_events.each_event_has_one_run),
    (leave_an_event_waiting, trigger_events.each_event_has_one_run),
    (run_what_was_refused, trigger_events.what_was_posted_is_kept),
    (keep_what_nobody_signed, trigger_events.what_was_posted_is_kept),
    (tell_a_copy_of_another_run, trigger_events.a_copy_is_told_of_the_same_run),
    (call_both_copies_new, trigger_events.a_copy_is_told_of_the_same_run),
    (change_what_was_posted, trigger_events.what_was_posted_is_kept),
    (lose_what_was_refused, trigger_events.what_was_posted_is_kept),
    (run_for_nothing, trigger_events.nothing_else_sets_a_trigger_off),
    (receive_what_nobody_posted, trigger_events.nothing_else_sets_a_trigger_off),
    (set_it_off_twice_by_hand, trigger_events.nothing_else_sets_a_trigger_off),
    (run_two_of_a_key_at_once, trigger_events.events_of_one_key_run_in_order),
    (run_the_second_first, trigger_events.events_of_one_key_run_in_order),
    (deliver_nothing, deliveries.deliveries_are_what_ends_call_for),
    (deliver_twice, deliveries.deliveries_are_what_ends_call_for),
    (deliver_to_whom_did_not_ask, deliveries.deliveries_are_what_ends_call_for),
    (forget_where_a_call_wanted_it, deliveries.what_a_call_asked_for_is_delivered),
    (leave_it_on_its_way, deliveries.what_is_delivered_has_arrived),
    (note_what_never_arrived, deliveries.what_is_delivered_has_arrived),
    (note_a_letter_that_was_dropped, deliveries.what_is_delivered_has_arrived),
    (give_up_too_early, deliveries.what_is_given_up_was_tried),
    (give_up_a_lost_plan, deliveries.what_is_given_up_was_tried),
    (send_under_another_id, deliveries.nothing_arrives_that_is_not_committed),
    (send_before_the_commit, deliveries.nothing_arrives_that_is_not_committed),
    (say_something_else_the_second_time, deliveries.a_delivery_is_the_same_each_time),
    (write_another_letter_the_second_time, deliveries.a_delivery_is_the_same_each_time),
    (sign_with_another_secret, deliveries.every_signature_fits),
    (sign_an_old_time, deliveries.every_signature_fits),
    (send_more_often_than_tried, deliveries.every_attempt_is_noted),
    (ask_too_many_at_once, deliveries.every_attempt_is_noted),
    (tell_of_another_end, deliveries.what_is_told_was_committed),
    (tell_other_words, deliveries.what_is_told_was_committed),
]
