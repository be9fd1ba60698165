"""Deliveries for the record: one that arrives, one that is told to go on, one that goes on anew."""

from __future__ import annotations

from domain import ids
from tests.api.test_long_runs import lengthen
from tests.house import House
from tests.http import Api
from tests.receiver import Receiver
from tests.results import Results


async def deliveries(house: House, api: Api) -> dict[str, str]:
    """The workflows by the names of their histories, each over."""
    results = Results(api)
    async with Receiver() as receiver:
        _, arrived = await results.ask(f"{receiver.url}/arrived")
        _, tried = await results.ask(f"{receiver.url}/status=503/times=2/tried")
        _, long = await results.ask(f"{receiver.url}/status=503/times=2/long")
        for run in (tried, long):
            waits = await results.tried(run, 2)
            if run == long:
                await lengthen(house, ids.delivery_workflow(waits["id"], 1))
            await results.api.ok(f"/v1/delivery/{waits['id']}/redeliver", {})
        found = {"arrived": arrived, "tried-again": tried, "continued": long}
        return {
            f"delivery-{name}": ids.delivery_workflow((await results.one(run))["id"], 1)
            for name, run in found.items()
        }
