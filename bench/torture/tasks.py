"""What clients do with saved tasks: let them run every two seconds, trigger, change, stop and remove them."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from bench.torture.agents import Agents
from bench.torture.history import Op
from bench.torture.talk import Request
from bench.torture.waiting import until
from bench.torture.words import CANARY, Manner

PERIODS = (2_000, 3_000)
"""Milliseconds from one time a task is due to the next; one task has the second of these in turn."""
DAY = 86_400_000
"""How late a run may still begin: no outage lets a time be missed."""
SESSION = 20_000
"""How long one conversation serves several runs."""
OWN = {"sessionDuration": 0}
"""Each run has its own conversation: more of them may wait than in one."""
QUICK: dict[str, Any] = {"pace": 20, "length": 8}
SLOW: dict[str, Any] = {"pace": 50, "length": 8}
SOON, LATER = 4, 40
"""Tokens that an agent thinks before it says that it is done."""
REPEATED = 40.0
"""Seconds within which a call that was made more than once may be done again: by a process that was frozen
with it, or by a link that held it back."""
CHANGES = (6.0, 12.0)
"""Seconds between two changes of one task."""
LIVES = (0.0, 3.0)
"""Seconds that a task lives which is removed again."""
AGAIN = 4
"""Calls at once under one key."""

STANDING: tuple[dict[str, Any], ...] = (
    {"overlap": "skip"},
    {"overlap": "buffer_one"},
    {"overlap": "buffer_all", **OWN},
    {"overlap": "cancel_other"},
    {"overlap": "allow_all", **OWN},
    {"overlap": "buffer_one", **OWN},
)
"""The tasks that run all the while, one for each policy; the last one's period is changed."""
DELIVERED = ("skip", "buffer_all")
"""Policies of the tasks whose results are delivered."""
MAIL = "results@example.com"
ON_DEMAND = {"overlap": "allow_all", **OWN}


class Owner(Agents):
    """A caller who has tasks."""

    @property
    def scheduled(self) -> list[Op]:
        """The tasks that run by themselves all the while."""
        return [task for task in self._history.tasks if "every" in task.body]

    async def save_all(self) -> None:
        """Makes those that everybody uses. Raises Unknown."""
        usual = {"every": PERIODS[0], "sessionDuration": SESSION, "pauseOnFailure": False}
        delivery = {"webhook": {"url": f"{self._talk.sink}/task", "events": ["completed"]}}
        for given in STANDING:
            told = {"delivery": delivery} if given["overlap"] in DELIVERED else {}
            self._history.tasks.append(await self.save(usual | given | told))
        on_demand = ON_DEMAND | {"delivery": delivery | {"email": {"to": [MAIL], "events": ["failed"]}}}
        self._history.tasks.append(await self.save(on_demand, thinks=LATER, **SLOW))

    async def change_now_and_then(self, over: asyncio.Event) -> None:
        """Gives one task another period, again and again until told.

        Nobody else changes it, and it is not changed while an earlier change may still come upon it.
        """
        task = self.scheduled[-1]
        for period in itertools.cycle(reversed(PERIODS)):
            if await until(over.is_set, self._chance.uniform(*CHANGES)):
                return
            op = await self.change(task, every=period)
            if op.tries > 1 and await until(over.is_set, REPEATED):
                return

    async def pause_all(self) -> None:
        """Nothing of theirs is due any more."""
        await asyncio.gather(*(self.pause(task) for task in self.scheduled))

    # The operations.

    async def triggered(self) -> None:
        """A run of a task that somebody asks for."""
        if self._history.tasks:
            await self.trigger(self._chance.choice(self._history.tasks))

    async def triggered_together(self) -> None:
        """The same call several times at once."""
        if self._history.tasks:
            op = self._about("trigger", self._chance.choice(self._history.tasks))
            await asyncio.gather(*(self._trigger(op) for _ in range(AGAIN)))

    async def called_off(self) -> None:
        """A run of a task that is told to stop."""
        for task in self._on_demand():
            op = await self.trigger(task)
            await asyncio.sleep(self._chance.uniform(0, 1))
            if op.run is not None:
                cancel = self._history.invoke(Op(f"{op.id}.cancel", "cancel", run=op.run))
                path = f"/v1/task/{op.task}/execution/{op.run}/cancel"
                await self._settled(cancel, self._talk.ask(cancel, Request(path, {}, {})))

    async def stopped(self) -> None:
        """All that a task has under way."""
        for task in self._on_demand():
            await asyncio.gather(*(self.trigger(task) for _ in range(2)))
            await self._ask(op := self._about("stop", task), f"/v1/task/{op.task}/cancel", {})

    async def renamed(self) -> None:
        """A task that is called something else."""
        if self._history.tasks:
            op = self._about("rename", self._chance.choice(self._history.tasks))
            await self._ask(op, f"/v1/task/{op.task}/update", {"name": f"{CANARY} {op.id}"})

    async def short_lived(self) -> None:
        """A task that is removed soon after it was made."""
        given = {"every": PERIODS[0], "overlap": self._chance.choice(STANDING)["overlap"], **OWN}
        task = await self.save(given)
        await asyncio.sleep(self._chance.uniform(*LIVES))
        await self.remove(task)

    # What they consist of.

    async def save(self, given: dict[str, Any], *, thinks: int = SOON, **how: Any) -> Op:
        """A new task, whose agent thinks and says that it is done. Raises Unknown."""
        op = self._op("task")
        calls = f"calls=1 reasoning={thinks} tool=_success args=summary:{op.id}"
        self._speaking(op, Manner(**{**QUICK, **how}, calls=calls))
        # One that nobody knows of would never be paused.
        op.keyed, op.body = True, {"catchup": DAY, **given}
        return await self._made(op, "/v1/task/create", {"description": op.text, **op.body})

    async def trigger(self, task: Op) -> Op:
        op = self._about("trigger", task, keyed=self._chance.random() > 0.3)
        await self._trigger(op)
        return op

    async def change(self, task: Op, **given: Any) -> Op:
        op = self._about("change", task, body=given)
        await self._ask(op, f"/v1/task/{op.task}/update", given)
        return op

    async def pause(self, task: Op) -> None:
        await self._ask(op := self._about("pause", task), f"/v1/task/{op.task}/pause", {})

    async def remove(self, task: Op) -> None:
        op = self._about("remove", task, refusal="NOT_FOUND")  # an earlier try did it
        await self._ask(op, f"/v1/task/{op.task}/delete", {})

    def _about(self, kind: str, task: Op, **known: Any) -> Op:
        return self._history.invoke(self._op(kind, task=task.made, **known))

    async def _trigger(self, op: Op) -> None:
        reply = await self._ask(op, f"/v1/task/{op.task}/trigger", {})
        if reply is not None and reply.status == 200:
            op.listed.append(reply.body.get("executionId", ""))

    def _on_demand(self) -> list[Op]:
        return [task for task in self._history.tasks if "every" not in task.body]
