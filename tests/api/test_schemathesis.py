"""Requests made from the document are answered as the document says; `make hostile` sends 20,000."""

from __future__ import annotations

import asyncio
import copy

from bench.fuzz import ENDLESS, Plan, fuzz
from tests import document
from tests.house import House


async def test_hundreds_of_requests_that_nobody_would_write_are_answered_as_told(house: House) -> None:
    _, key = await house.new_account("made from the document")
    plan = Plan(requests=200, seed=4, examples=3)

    outcome = await asyncio.to_thread(fuzz, house.api().url, key, plan)

    assert not outcome.problems, outcome.text()
    assert outcome.requests >= plan.requests
    assert {200, 400, 401, 404} <= {*outcome.statuses}


async def test_a_document_that_is_wrong_is_found_out(house: House) -> None:
    _, key = await house.new_account("told wrongly")
    wrong = copy.deepcopy(document.told())
    wrong["paths"] = {"/bot/create": wrong["paths"]["/bot/create"]}
    wrong["components"]["schemas"]["BotBody"]["properties"] = {"name": {"type": "integer"}}
    wrong["components"]["schemas"]["Made"]["required"] = ["id", "nonsense"]
    plan = Plan(requests=1, seed=4, examples=3, edges=True)

    outcome = await asyncio.to_thread(fuzz, house.api().url, key, plan, wrong)

    found = {where.split(": ")[1] for where in outcome.problems}
    assert {"accepted", "response_schema_conformance", "negative_data_rejection"} <= found


def test_what_is_left_out_is_what_has_no_end() -> None:
    endless = {
        operation["operationId"]
        for verbs in document.told()["paths"].values()
        for operation in verbs.values()
        if "application/json" not in operation["responses"]["200"]["content"]
    }

    assert endless == {*ENDLESS}
