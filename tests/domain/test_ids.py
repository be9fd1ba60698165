"""Ids: spelled once, unique, in the order of their making."""

from __future__ import annotations

import re

from domain import ids

MAKERS = {
    "acct": ids.account,
    "key": ids.api_key,
    "bot": ids.bot,
    "ctc": ids.contact,
    "conv": ids.conversation,
    "sess": ids.session,
    "msg": ids.message,
    "run": ids.run,
    "chan": ids.channel,
    "req": ids.request,
}


def test_an_id_is_a_prefix_and_26_characters_of_crockfords_alphabet() -> None:
    for prefix, make in MAKERS.items():
        assert re.fullmatch(rf"{prefix}_[0-9a-hjkmnp-tv-z]{{26}}", make())


def test_ids_made_by_one_process_differ_and_are_in_the_order_of_their_making() -> None:
    made = [ids.run() for _ in range(10_000)]

    assert len(set(made)) == 10_000
    assert made == sorted(made)


def test_a_channel_of_ours_is_as_long_as_the_contract_asks() -> None:
    assert len(ids.channel()) >= 24


def test_workflow_ids_name_the_run() -> None:
    assert ids.completion_workflow("run_1") == "completion/run_1"
    assert ids.turn_workflow("conv_1", "run_1") == "conversation/conv_1/run_1"
    assert ids.UPKEEP_WORKFLOW == ids.UPKEEP_SCHEDULE == "upkeep/retention"
