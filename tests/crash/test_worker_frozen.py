"""Promise 4: a frozen worker is replaced, and when it wakes nothing changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, kind
from tests.house import House
from tests.http import Api, inner, text_of

pytestmark = pytest.mark.slow


async def test_a_frozen_worker_that_wakes_changes_nothing_in_what_another_has_finished_or_has_in_hand(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    short, long = Turn(api, await api.conversation(), 60), Turn(api, await api.conversation(), 300)
    for turn in (short, long):
        await turn.speak()
    house.freeze("worker")
    frozen = time.monotonic()
    house.start("worker2")
    await short.begin_again()
    note("next event after the freeze, s", round(time.monotonic() - frozen, 1))
    await short.end()
    await witness.closed(short.run)
    finished = await witness.kept(short.run)

    # The sleeper's sockets hold both answers, the first one whole: it wakes with something to write for each.
    await long.begin_again()
    assert (await house.calls(short.word))[0]["finished"]
    house.thaw("worker")
    await long.end()
    await _work_to_the_end(house, api)

    assert await witness.kept(short.run) == finished
    for turn in (short, long):
        late = await api.stream(f"/v1/run/{turn.run}/subscribe")
        assert await api.messages(turn.conversation) == [("user", turn.ask), ("bot", turn.whole)]
        assert text_of(inner(turn.seen)) == text_of(inner(late)) == turn.whole
        assert [event["seq"] for event in turn.seen] == sorted({event["seq"] for event in turn.seen})
        assert [kind(event) for event in late].count("token") == turn.tokens
        assert await witness.attempts(turn.run) == [2]
        assert len(await house.calls(turn.word)) == 2


class Turn:
    """A turn and somebody who listens to it."""

    def __init__(self, api: Api, conversation: str, tokens: int) -> None:
        self.conversation, self.tokens, self.word = conversation, tokens, ids.new("canary")
        self.ask = f"{self.word} [model tokens={tokens} delay=30]"
        self.whole = " ".join(f"t{n}" for n in range(1, tokens + 1))
        self.seen: list[dict[str, Any]] = []
        self._api = api

    async def speak(self) -> None:
        """Begins, and says ten tokens."""
        told = await self._api.ok(f"/v1/conversation/{self.conversation}/dispatch", {"text": self.ask})
        self.run: str = told["runId"]
        await self._listen(lambda: self._count("token") == 10)

    async def begin_again(self) -> None:
        """Its second attempt says a few words."""
        await self._listen(lambda: self._count("completeBegin") == 2)
        words = self._count("token")
        await self._listen(lambda: self._count("token") == words + 5)

    async def end(self) -> None:
        await self._listen(lambda: False)
        assert kind(self.seen[-1]) == "result"

    def _count(self, wanted: str) -> int:
        return [kind(event) for event in self.seen].count(wanted)

    async def _listen(self, enough: Callable[[], bool]) -> None:
        """Goes on from the last event heard until it has heard enough, or everything."""
        after = self.seen[-1]["seq"] if self.seen else 0
        async with self._api.streaming(f"/v1/run/{self.run}/subscribe", {"after": after}) as events:
            async for event in events:
                self.seen.append(event)
                if enough():
                    return


async def _work_to_the_end(house: House, api: Api) -> None:
    """The woken worker works on, alone, and then ends what it still had under way: it can write no more."""
    house.stop("worker2")
    another = await api.conversation()
    answer = await api.ok(f"/v1/conversation/{another}/complete", {"text": "canary [model tokens=3]"})
    assert answer["text"] == "t1 t2 t3"
    house.stop("worker")
