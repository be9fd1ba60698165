"""Promise 4: a frozen worker is replaced, and when it wakes nothing changes."""

from __future__ import annotations

import time
from functools import partial

import pytest

from tests.crash.conftest import Note
from tests.crash.witness import Turn, Witness, kind
from tests.house import House, eventually
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

    # The sleeper's sockets hold both answers, whole: it wakes with something to commit for each.
    await long.begin_again()
    await eventually(partial(_answered_once, house, long.word))
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


async def _answered_once(house: House, word: str) -> None:
    """The model has sent its first answer, and is still at its second one."""
    assert [call["finished"] for call in await house.calls(word)] == [True, False]


async def _work_to_the_end(house: House, api: Api) -> None:
    """The woken worker works on, alone, and then ends what it still had under way: it can write no more."""
    house.stop("worker2")
    another = await api.conversation()
    answer = await api.ok(f"/v1/conversation/{another}/complete", {"text": "canary [model tokens=3]"})
    assert answer["text"] == "t1 t2 t3"
    house.stop("worker")
