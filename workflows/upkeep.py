"""Once a minute: what is no longer needed goes, and what was due and did not happen is made good."""

from __future__ import annotations

import asyncio

from temporalio import workflow

from activities.upkeep import Upkeep
from activities.watch import Watch
from domain.plans import Progress
from workflows import options


@workflow.defn(name="upkeep")
class UpkeepWorkflow:
    def __init__(self) -> None:
        self._progress = Progress()

    @workflow.run
    async def run(self) -> None:
        self._progress = Progress(phase="tidy")
        work = [workflow.execute_activity_method(Upkeep.tidy, **options.UPKEEP)]
        if workflow.patched("expiry"):
            work.append(workflow.execute_activity_method(Upkeep.expire, **options.UPKEEP))
        if workflow.patched("tasks"):
            work.append(workflow.execute_activity_method(Watch.watch, **options.UPKEEP))
        # At once: trouble with one kind of work does not keep the other waiting.
        await asyncio.gather(*work)
        self._progress = Progress(phase="closed")

    @workflow.query
    def progress(self) -> Progress:
        return self._progress
