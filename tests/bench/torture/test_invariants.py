"""Each invariant of the torture complains about what it is there for, and about nothing in a sound house."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.torture import deliveries, invariants, occurrences, policies, surface
from bench.torture.evidence import Evidence
from bench.torture.history import Op
from bench.torture.ship import WAITING
from bench.torture.talk import LIMIT
from tests.bench.torture.connected import CASES as OF_TRIGGERS
from tests.bench.torture.connected import give_up_too_early, with_trigger
from tests.bench.torture.saved import CASES as OF_TASKS
from tests.bench.torture.saved import be_due_by_words_that_were_changed, change_the_period, with_tasks
from tests.bench.torture.spoils import CASES as OF_CALLS
from tests.bench.torture.spoils import with_agent

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER = "a b"
RESULT = {"text": ANSWER, "runId": "run1", "end": {"reason": "stop"}}
EVENTS: list[tuple[int, str, Any]] = [
    (1, "sendResult", {"id": "m1"}),
    (2, "completeBegin", {"iteration": 1}),
    (3, "token", {"token": "a"}),
    (4, "token", {"token": " b"}),
    (5, "result", RESULT),
]


def row(seq: int, kind: str, data: Any) -> dict[str, Any]:
    step = 0 if kind == "sendResult" else 1
    return {"seq": seq, "type": kind, "data": json.dumps(data), "step": step, "attempt": step}


def message(seq: int, kind: str, text: str) -> dict[str, Any]:
    keys = {"id": f"m{seq}", "key": f"run1/{kind}", "run_id": "run1"}
    return keys | {"seq": seq, "type": kind, "text": text, "hidden": False}


def run() -> dict[str, Any]:
    return {
        "id": "run1", "state": "succeeded", "kind": "turn", "lane": "interactive",
        "conversation_id": "conv1", "task_id": None, "trigger_id": None, "targets": None, "accepted_seq": 1,
        "channel_id": 7, "message_id": "m2", "error_code": None, "error_message": None, "input_tokens": 3,
        "output_tokens": 2, "messages": 2, "created_at": AT, "admitted_at": AT, "begun_at": AT,
        "ended_at": AT + timedelta(seconds=1), "end_reason": "stop", "outcome": None, "merged_into": None,
    }  # fmt: skip


def entry(number: int, act: str, **about: str) -> dict[str, Any]:
    return {"id": f"e{number}", "type": act, "about": about, "meta": {"actor": "key1"}}


LOG = [
    entry(1, "conversation.create", conversationId="conv0"),
    entry(2, "conversation.delete", conversationId="conv0"),
    entry(3, "conversation.create", conversationId="conv1"),
    entry(4, "run.create", runId="run1", conversationId="conv1"),
    entry(5, "run.succeeded", runId="run1", conversationId="conv1"),
    entry(8, "run.create", runId="agent1"),
    entry(9, "run.succeeded", runId="agent1"),
]


def around() -> list[Op]:
    """A conversation that was made and deleted, one that was made and exported, a page that was refused, and
    somebody who heard of all of it."""
    made, deleted = Op("op.c.2", "create", made="conv0"), Op("op.c.3", "delete", conversation="conv0")
    kept, export = Op("op.c.4", "create", made="conv1"), Op("op.c.5", "export", listed=["conv1"])
    follow = Op("op.f.1", "follow", listed=[row["id"] for row in LOG])
    refused = Op("op.c.6", "forbidden", refusal="NOT_AUTHORIZED", forbidden=True, error="NOT_AUTHORIZED")
    for at, op in enumerate((made, deleted, kept, export, follow)):
        op.began_at, op.over_at, op.outcome = at, at + 0.5, "ok"
    refused.outcome = "fail"
    return [made, deleted, kept, export, follow, refused]


@pytest.fixture
def sound() -> Evidence:
    """One streamed turn, heard over two connections, that went well; what was done around it; an agent; tasks
    and a trigger."""
    op = Op("op.c.1", "stream", "question", expected=ANSWER, conversation="conv1", run="run1", answer=ANSWER)
    op.end, op.outcome, op.heard = "stop", "ok", [EVENTS[:3], EVENTS[3:]]
    step = {"run_id": "run1", "ordinal": 1, "kind": "model", "state": "done", "attempt": 1}
    step |= {"iteration": 1}
    agent = run() | {"id": "agent1", "kind": "completion", "conversation_id": None, "messages": 4}
    agent |= {"channel_id": 9, "message_id": None, "input_tokens": 0, "output_tokens": 0}
    found = Evidence(
        ops=[op, *around()],
        deleted={"conv0"},
        doomed={"conv0"},
        runs={"run1": run()},
        steps=[step | {"input_tokens": 3, "output_tokens": 2}],
        channels={
            7: {"run_id": "run1", "name": "chan", "open": False, "seq": 5, "into_id": None},
            9: {"run_id": "agent1", "name": "agent", "open": False, "seq": 1, "into_id": None},
        },
        messages={"conv1": [message(1, "user", "question"), message(2, "bot", ANSWER)]},
        events={7: [row(*event) for event in EVENTS], 9: [row(1, "result", {"text": ""})]},
        conversations={"conv1": {"messages": 2}},
        audit=[*LOG],
        used={"tokens": 5, "conversations": 2, "messages": 6},
        executions={"conversation/conv1/run1": 1},
        open_plans=set(),
    )
    quiet = agent | {"messages": 0, "outcome": "success"}
    return with_trigger(with_tasks(with_agent(found, agent), quiet | {"kind": "task_run"}), quiet)


def complaints(found: Evidence) -> set[str]:
    return {check.__name__ for check in invariants.INVARIANTS if list(check(found))}


def test_nothing_is_said_of_a_sound_house(sound: Evidence) -> None:
    assert complaints(sound) == set()


def lose_the_message(found: Evidence) -> None:
    del found.messages["conv1"][0]


def change_the_message(found: Evidence) -> None:
    found.messages["conv1"][0]["text"] += "!"


def double_an_unknown_message(found: Evidence) -> None:
    found.ops[0].outcome = "unknown"
    found.messages["conv1"].append(message(3, "user", "question"))


def double_the_answer(found: Evidence) -> None:
    found.messages["conv1"].append(message(3, "bot", ANSWER))


def do_a_step_twice(found: Evidence) -> None:
    found.steps.append(found.steps[0] | {"ordinal": 2})


def leave_a_gap(found: Evidence) -> None:
    found.messages["conv1"][1]["seq"] = 3


def answer_before_the_question(found: Evidence) -> None:
    found.messages["conv1"].reverse()


def admit_two(found: Evidence) -> None:
    found.runs["run2"] = run() | {"id": "run2", "accepted_seq": 2}


def give_a_seq_twice(found: Evidence) -> None:
    found.events[7].insert(2, found.events[7][2])


def end_twice(found: Evidence) -> None:
    found.events[7].append(row(6, "error", {}))


def keep_an_earlier_attempt(found: Evidence) -> None:
    found.steps[0]["attempt"] = 2


def store_something_else(found: Evidence) -> None:
    found.messages["conv1"][1]["text"] = "c"


def repeat_an_event(found: Evidence) -> None:
    found.ops[0].heard[1].insert(0, EVENTS[2])


def miss_an_event(found: Evidence) -> None:
    found.ops[0].heard[1].pop(0)


def answer_another_question(found: Evidence) -> None:
    found.ops[0].expected = "c d"


def refuse_it(found: Evidence) -> None:
    found.ops[0].outcome, found.ops[0].error = "fail", "CONFLICT"


def store_what_was_refused(found: Evidence) -> None:
    found.ops[0].outcome = "fail"


def leave_unanswered(found: Evidence) -> None:
    found.ops[0].outcome = "unknown"


def make_two_runs(found: Evidence) -> None:
    found.runs["run2"] = run() | {"id": "run2", "conversation_id": None, "kind": "completion"}


def leave_the_channel_open(found: Evidence) -> None:
    found.channels[7]["open"] = True


def lose_the_log(found: Evidence) -> None:
    found.events.clear()


def stop_for_no_reason(found: Evidence) -> None:
    found.ops[0].end = "abort"


def tell_an_error_that_is_none(found: Evidence) -> None:
    found.ops[0].error = "WORKER_LOST"


def interrupt_in_vain(found: Evidence) -> None:
    found.runs["run1"]["created_at"] = found.runs["run1"]["admitted_at"]
    found.ops[0].interrupts = "run1"


def answer_500(found: Evidence) -> None:
    found.ops[0].bugs = 1


def cancel_in_vain(found: Evidence) -> None:
    canceled = Op("op.c.2", "cancel", run="run1", outcome="ok", over_at=AT.timestamp())
    found.ops = [*found.ops, canceled]


def delete_in_vain(found: Evidence) -> None:
    found.deleted.add("conv1")


def the(found: Evidence, kind: str) -> Op:
    return next(op for op in found.ops if op.kind == kind)


def let_in(found: Evidence) -> None:
    the(found, "forbidden").outcome, the(found, "forbidden").error = "ok", None


def refuse_with_another_word(found: Evidence) -> None:
    the(found, "forbidden").error = "NOT_FOUND"


def end_an_export_too_early(found: Evidence) -> None:
    the(found, "export").listed.clear()


def export_one_twice(found: Evidence) -> None:
    the(found, "export").listed.append("conv1")


def export_what_is_gone(found: Evidence) -> None:
    the(found, "export").listed.append("conv0")


def tell_nothing_of_a_run(found: Evidence) -> None:
    del found.audit[3]


def tell_two_ends(found: Evidence) -> None:
    found.audit.append(entry(6, "run.failed", runId="run1"))


def tell_of_a_run_that_is_not_there(found: Evidence) -> None:
    found.audit.append(entry(6, "run.create", runId="run2"))


def tell_nothing_of_a_deletion(found: Evidence) -> None:
    del found.audit[1]


def tell_twice_of_a_creation(found: Evidence) -> None:
    found.audit.append(entry(6, "conversation.create", conversationId="conv1"))


def tell_of_a_conversation_that_is_not_there(found: Evidence) -> None:
    found.audit.append(entry(6, "conversation.create", conversationId="conv2"))


def cancel_without_a_name(found: Evidence) -> None:
    found.ops = [*found.ops, Op("op.c.7", "cancel", run="run1", outcome="ok", over_at=2e9)]
    found.audit[4] = entry(5, "run.canceled", runId="run1") | {"meta": {}}


def tell_what_was_said(found: Evidence) -> None:
    found.audit[3]["meta"] = {"text": "canary op.c.1"}


def tell_the_follower_too_late(found: Evidence) -> None:
    the(found, "follow").listed.pop(2)


def tell_the_follower_in_disorder(found: Evidence) -> None:
    the(found, "follow").listed.reverse()


def count_one_conversation_too_few(found: Evidence) -> None:
    found.used["conversations"] = 1


def count_a_message_that_is_not_there(found: Evidence) -> None:
    found.runs["run1"]["messages"], found.used["messages"] = 3, 7


def let_too_many_wait(found: Evidence) -> None:
    later = AT + timedelta(seconds=2)
    for number in range(2, WAITING + 3):
        waiting = {"accepted_seq": number, "admitted_at": later, "ended_at": later}
        found.runs[f"run{number}"] = run() | waiting | {"id": f"run{number}"}


def start_what_met_a_limit(found: Evidence) -> None:
    found.ops[0].outcome, found.ops[0].error = "fail", LIMIT


def never_end(found: Evidence) -> None:
    found.runs["run1"] |= {"state": "running", "ended_at": None}


def forget_the_run(found: Evidence) -> None:
    found.runs.clear()


def fail_for_no_reason(found: Evidence) -> None:
    found.runs["run1"] |= {"state": "failed", "error_code": "WORKER_LOST"}


def fail_after_one_outage_of_its_model(found: Evidence) -> None:
    found.runs["run1"] |= {"state": "failed", "error_code": "MODEL_BROKEN"}
    found.model_struck = [AT.timestamp()]


def leave_a_plan_open(found: Evidence) -> None:
    found.open_plans.add("conversation/conv1/run1")


def execute_a_plan_twice(found: Evidence) -> None:
    found.executions["conversation/conv1/run1"] = 2


def count_tokens_twice(found: Evidence) -> None:
    found.runs["run1"]["input_tokens"] = 6


def join(found: Evidence) -> None:
    """A second call that joined the turn, as it should be."""
    found.runs["run2"] = run() | {
        **{"id": "run2", "state": "merged", "merged_into": "run1", "accepted_seq": 2, "channel_id": 8},
        **{"messages": 0, "input_tokens": 0, "output_tokens": 0, "message_id": None},
        **{"admitted_at": None, "begun_at": None},
    }
    found.runs["run1"]["messages"], found.used["messages"] = 3, 7
    found.channels[8] = found.channels[7] | {"run_id": "run2", "seq": 2, "into_id": 7, "from_seq": 3}
    found.events[8] = [row(1, "sendResult", {"id": "m3"}), row(2, "merged", {"runId": "run1"}) | {"step": 0}]
    found.messages["conv1"].append(message(3, "user", "more") | {"key": "run2/user"})
    found.conversations["conv1"]["messages"] = 3
    found.audit += [
        entry(6, "run.create", runId="run2", conversationId="conv1"),
        entry(7, "run.merged", runId="run2", conversationId="conv1"),
    ]
    next(op for op in found.ops if op.kind == "follow").listed += ["e6", "e7"]
    op = Op("op.c.7", "steering", "more", expected=ANSWER, conversation="conv1", run="run2", answer=ANSWER)
    heard = [(1, "sendResult", {"id": "m3"}), (2, "merged", {"runId": "run1"})]
    op.end, op.outcome = "stop", "ok"
    op.heard = [[*heard, (3, "token", {"token": " b"})], [(4, "result", RESULT)]]
    found.ops = [*found.ops, op]


def join_the_wrong_turn(found: Evidence) -> None:
    join(found)
    found.runs["run1"]["accepted_seq"] = 3


def lose_the_words_of_who_joined(found: Evidence) -> None:
    join(found)
    found.messages["conv1"][-1]["run_id"] = "run2"


def miss_what_the_other_turn_said(found: Evidence) -> None:
    join(found)
    found.ops[-1].heard[0].pop()


def leave_a_merged_channel_hanging(found: Evidence) -> None:
    join(found)
    found.events[8].pop()


def hide_what_was_not_undone(found: Evidence) -> None:
    found.messages["conv1"][1]["hidden"] = True


CASES: list[tuple[Callable[[Evidence], None], Callable[[Evidence], Any]]] = [
    (lose_the_message, invariants.acknowledged_messages_are_kept_once),
    (change_the_message, invariants.acknowledged_messages_are_kept_once),
    (double_an_unknown_message, invariants.unknown_messages_are_kept_at_most_once),
    (double_the_answer, invariants.a_succeeded_run_has_one_answer),
    (do_a_step_twice, invariants.a_succeeded_run_ends_with_a_step_that_is_done),
    (leave_a_gap, invariants.conversations_have_no_gap),
    (answer_before_the_question, invariants.conversations_have_no_gap),
    (admit_two, invariants.one_turn_at_a_time),
    (give_a_seq_twice, invariants.channels_are_in_order_and_end_once),
    (end_twice, invariants.channels_are_in_order_and_end_once),
    (keep_an_earlier_attempt, invariants.only_the_last_attempt_is_kept),
    (store_something_else, invariants.the_stream_says_what_is_stored),
    (repeat_an_event, invariants.listeners_hear_forward_only),
    (miss_an_event, invariants.listeners_miss_nothing),
    (answer_another_question, invariants.answers_are_to_the_question),
    (refuse_it, invariants.nobody_is_refused_without_reason),
    (store_what_was_refused, invariants.unknown_messages_are_kept_at_most_once),
    (leave_unanswered, invariants.whoever_may_repeat_is_answered),
    (make_two_runs, invariants.each_call_makes_one_run_at_most),
    (leave_the_channel_open, invariants.channels_are_in_order_and_end_once),
    (lose_the_log, invariants.channels_are_in_order_and_end_once),
    (stop_for_no_reason, invariants.answers_are_to_the_question),
    (tell_an_error_that_is_none, invariants.errors_that_are_told_are_true),
    (interrupt_in_vain, policies.who_interrupts_is_heard),
    (join_the_wrong_turn, policies.who_joins_is_part_of_one_turn),
    (lose_the_words_of_who_joined, policies.who_joins_is_part_of_one_turn),
    (miss_what_the_other_turn_said, invariants.listeners_miss_nothing),
    (leave_a_merged_channel_hanging, invariants.channels_are_in_order_and_end_once),
    (hide_what_was_not_undone, policies.what_is_undone_is_hidden),
    (answer_500, invariants.nothing_unexpected_is_answered),
    (cancel_in_vain, invariants.a_cancel_is_complete_when_answered),
    (delete_in_vain, invariants.what_was_deleted_stays_deleted),
    (never_end, invariants.every_run_is_over),
    (forget_the_run, invariants.what_was_accepted_is_there),
    (fail_for_no_reason, invariants.runs_fail_of_their_model_only),
    (fail_after_one_outage_of_its_model, invariants.runs_fail_of_their_model_only),
    (leave_a_plan_open, invariants.plans_and_runs_agree),
    (execute_a_plan_twice, invariants.plans_and_runs_agree),
    (count_tokens_twice, invariants.usage_is_counted_once),
    (let_in, surface.what_is_forbidden_is_refused),
    (refuse_with_another_word, surface.what_is_forbidden_is_refused),
    (end_an_export_too_early, surface.exports_that_end_are_whole),
    (export_one_twice, surface.exports_that_end_are_whole),
    (export_what_is_gone, surface.exports_that_end_are_whole),
    (tell_nothing_of_a_run, surface.every_act_is_told_once),
    (tell_two_ends, surface.every_act_is_told_once),
    (tell_of_a_run_that_is_not_there, surface.every_act_is_told_once),
    (tell_nothing_of_a_deletion, surface.every_act_is_told_once),
    (tell_twice_of_a_creation, surface.every_act_is_told_once),
    (tell_of_a_conversation_that_is_not_there, surface.every_act_is_told_once),
    (cancel_without_a_name, surface.who_cancels_is_named),
    (tell_what_was_said, surface.the_audit_log_has_no_words),
    (tell_the_follower_too_late, surface.whoever_follows_the_log_hears_it_all),
    (tell_the_follower_in_disorder, surface.whoever_follows_the_log_hears_it_all),
    (let_too_many_wait, surface.no_more_wait_than_may),
    (start_what_met_a_limit, invariants.each_call_makes_one_run_at_most),
    (count_one_conversation_too_few, surface.usage_is_what_was_done),
    (count_a_message_that_is_not_there, surface.usage_is_what_was_done),
    *OF_CALLS,
    *OF_TASKS,
    *OF_TRIGGERS,
]


def test_nothing_is_said_of_a_call_that_joined_a_turn(sound: Evidence) -> None:
    join(sound)

    assert complaints(sound) == set()


@pytest.mark.parametrize(("spoil", "check"), CASES, ids=[case[0].__name__ for case in CASES])
def test_it_complains(
    sound: Evidence, spoil: Callable[[Evidence], None], check: Callable[[Evidence], Any]
) -> None:
    spoiled = copy.deepcopy(sound)
    spoil(spoiled)

    assert check.__name__ in complaints(spoiled)


def test_a_run_may_fail_when_its_model_goes_out_of_order_again_and_again(sound: Evidence) -> None:
    fail_after_one_outage_of_its_model(sound)
    sound.model_struck = [AT.timestamp(), AT.timestamp() + 0.5]

    assert invariants.runs_fail_of_their_model_only.__name__ not in complaints(sound)


def test_a_call_that_a_later_one_interrupted_was_stopped_for_a_reason(sound: Evidence) -> None:
    stop_for_no_reason(sound)
    sound.runs["run1"]["state"] = "interrupted"
    sound.runs["run2"] = run() | {"id": "run2", "accepted_seq": 2}
    louder = Op("op.c.2", "complete", "louder", conversation="conv1", run="run2", interrupts="")
    sound.ops = [*sound.ops, louder]

    assert list(invariants.answers_are_to_the_question(sound)) == []


def test_a_task_whose_period_was_changed_is_due_by_the_words_of_then(sound: Evidence) -> None:
    change_the_period(sound)

    assert list(occurrences.every_time_is_decided_once(sound)) == []
    assert list(occurrences.an_occurrence_has_one_run(sound)) == []


def test_what_is_due_while_a_call_may_still_come_upon_a_task_may_be_either(sound: Evidence) -> None:
    be_due_by_words_that_were_changed(sound)
    sound.ops[-1].tries = 2

    assert list(occurrences.every_time_is_decided_once(sound)) == []


def test_a_call_that_one_of_unknown_fate_may_have_interrupted_was_stopped_for_a_reason(
    sound: Evidence,
) -> None:
    stop_for_no_reason(sound)
    sound.runs["run1"]["state"] = "interrupted"
    sound.ops = [*sound.ops, Op("op.c.2", "complete", "louder", conversation="conv1", interrupts="")]

    assert list(invariants.answers_are_to_the_question(sound)) == []


@pytest.mark.parametrize("run2", ["run2", None])
def test_a_turn_that_took_in_a_call_answers_that_and_fails_of_it(sound: Evidence, run2: str | None) -> None:
    answer_another_question(sound)
    assert sound.ops[0].answer is not None
    sound.runs["run2"] = run() | {"id": "run2", "accepted_seq": 2, "state": "merged", "merged_into": "run1"}
    more = Op("op.c.2", "steering", "more", conversation="conv1", run=run2, expected=sound.ops[0].answer)
    sound.ops = [*sound.ops, more]

    assert list(invariants.answers_are_to_the_question(sound)) == []

    sound.runs["run1"] |= {"state": "failed", "error_code": "MODEL_REFUSED"}
    assert list(invariants.runs_fail_of_their_model_only(sound)) == []


def test_what_its_target_kept_waiting_until_its_time_was_up_may_be_given_up(sound: Evidence) -> None:
    give_up_too_early(sound)
    for row in sound.deliveries.values():
        row["ended_at"] = row["created_at"] + timedelta(seconds=deliveries.PATIENCE)

    assert list(deliveries.what_is_given_up_was_tried(sound)) == []


def test_every_invariant_is_seen_to_complain() -> None:
    assert {check for _, check in CASES} == set(invariants.INVARIANTS)
