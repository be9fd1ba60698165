"""Promise 4: a frozen worker is replaced, and when it wakes nothing changes."""

from __future__ import annotations

import time

import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, kind, some
from tests.house import House
from tests.http import Api, inner, text_of

pytestmark = pytest.mark.slow


async def test_a_worker_that_wakes_after_another_has_finished_its_turn_changes_nothing(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    conversation, word = await api.conversation(), ids.new("canary")
    ask = {"text": f"{word} [model tokens=100 delay=30]"}
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        seen = await some(events, 10)
        house.freeze("worker")
        frozen = time.monotonic()
        house.start("worker2")
        async for event in events:
            if kind(event) == "completeBegin":
                note("next event after the freeze, s", round(time.monotonic() - frozen, 1))
            seen.append(event)
    await witness.closed(told["runId"])
    calls = await house.calls(word)
    # The whole first answer lies in the sleeper's socket: it will wake with a full answer to commit.
    assert [call["finished"] for call in calls] == [True, True]
    before = await witness.kept()

    house.thaw("worker")
    await _work_to_the_end(house, api)

    after = await witness.kept()
    assert not before - after, before - after
    late = await api.stream(f"/v1/run/{told['runId']}/subscribe")
    assert await api.messages(conversation) == [("user", ask["text"]), ("bot", text_of(inner(late)))]
    assert text_of(inner(seen)) == text_of(inner(late)) == " ".join(f"t{n}" for n in range(1, 101))
    assert await witness.attempts(told["runId"]) == [2]
    assert await house.calls(word) == calls


async def _work_to_the_end(house: House, api: Api) -> None:
    """The woken worker works on, alone, and then ends what it still had under way: it can write no more."""
    house.stop("worker2")
    another = await api.conversation()
    answer = await api.ok(f"/v1/conversation/{another}/complete", {"text": "canary [model tokens=3]"})
    assert answer["text"] == "t1 t2 t3"
    house.stop("worker")
