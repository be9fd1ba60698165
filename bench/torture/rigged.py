"""The product's own processes with what the environment puts in: `python -m bench.torture.rigged worker|api`.

FAILPOINT=name:pass:effect arms one failpoint, SABOTAGE=name takes one safety out, PLAN_VERSION=2 makes the
plans those of a later version. The product itself knows none of these: it has no switch that could lose
anything.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from temporalio import workflow

from bench.torture import points, sabotages
from domain import attempt
from domain.plans import RunInput
from tests import guarded
from workflows.agent import Agent

UNKNOWN = 2.0
"""Seconds."""


def later_plans(version: int) -> None:
    """One more step at the beginning of every plan for each version after the first, as patches do it."""
    first = Agent.work

    async def work(self: Agent, input: RunInput) -> None:
        for number in range(2, version + 1):
            if workflow.patched(f"torture-{number}"):
                await workflow.sleep(timedelta(milliseconds=1))
        await first(self, input)

    Agent.work = work  # type: ignore[method-assign]


def soon() -> None:
    """What nobody knows the fate of waits for seconds, not minutes."""
    attempt.UNKNOWN_SECONDS = UNKNOWN


def main() -> None:
    soon()
    if name := os.environ.get("SABOTAGE"):
        sabotages.SABOTAGES[name].commit()
    if spelled := os.environ.get("FAILPOINT"):
        points.arm(spelled, Path(os.environ["HITS"]))
    if version := int(os.environ.get("PLAN_VERSION", "1")):
        later_plans(version)
    guarded.main()


if __name__ == "__main__":
    main()
