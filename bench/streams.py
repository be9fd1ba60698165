"""Many slow streams at once: does every token arrive, and how long after the model has sent it?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import aiohttp

from bench.bench import Bench
from bench.callers import OURS, BadAnswer, Streamed, said
from bench.figures import figure, millis, percentile
from bench.report import Row

DELAYS = (250, 25)
"""Milliseconds between two tokens of a stream."""
GATE = 1.5
"""Seconds that the model alone is given: nothing has to be accepted first."""

Ask = Callable[[int, str], Awaitable[Streamed]]


class Round(NamedTuple):
    ours: list[Streamed]
    direct: list[Streamed]


async def measure(bench: Bench) -> None:
    places = [await bench.ours.conversation() for _ in range(bench.amount.streams)]
    found: dict[int, list[Round]] = {delay: [] for delay in DELAYS}
    for _ in range(bench.amount.repeats):
        for delay in DELAYS:
            ours = await _all(bench, lambda n, text: bench.ours.stream(places[n], text), delay)
            direct = await _all(bench, lambda _, text: bench.direct.stream([("user", text)]), delay, GATE)
            found[delay].append(Round(ours, direct))
    for delay, rounds in found.items():
        name = f"{bench.amount.streams} streams, {bench.amount.tokens} tokens {delay} ms apart"
        _whole(bench, name, [streamed for one in rounds for streamed in one.ours])
        _lag(bench, name, rounds)


async def _all(bench: Bench, ask: Ask, delay: int, gate: float | None = None) -> list[Streamed]:
    """The first tokens are held back until all streams have begun, then spread over one delay."""
    count = bench.amount.streams
    opens = (time.time() + (gate or bench.amount.gate_seconds)) * 1000
    texts = [
        said(bench.amount.tokens, delay=delay, stamp=1, at=round(opens + delay * n / count))
        for n in range(count)
    ]
    return await asyncio.gather(*(_one(ask(n, text)) for n, text in enumerate(texts)))


async def _one(asked: Awaitable[Streamed]) -> Streamed:
    """A stream that was refused or lost has failed; it does not end the others."""
    try:
        return await asked
    except (BadAnswer, aiohttp.ClientError, TimeoutError) as error:
        failed = Streamed(OURS)
        failed.last = str(error).encode()
        return failed


def _whole(bench: Bench, name: str, ours: Sequence[Streamed]) -> None:
    """Of all rounds together: a median would forgive the one that lost something."""
    whole = sum(_is_whole(streamed, bench.amount.tokens) for streamed in ours)
    lost = next((streamed.last.decode()[-120:] for streamed in ours if not streamed.tokens), "")
    row = Row(f"{name}: whole and in order", figure([whole]), least=len(ours), note="of all rounds")
    bench.report.rows.append(row)
    if lost:
        bench.report.failed.append(f"{name}: {lost}")


def _lag(bench: Bench, name: str, rounds: Sequence[Round]) -> None:
    ours = [lags for one in rounds if (lags := _lags(one.ours))]
    direct = [lags for one in rounds if (lags := _lags(one.direct))]
    note = f"{sum(map(len, ours)):,} tokens, once all had begun"
    for share, most in ((0.5, None), (0.99, 100)):
        lag, alone = (figure([millis(percentile(one, share)) for one in some]) for some in (ours, direct))
        bench.report.rows.append(Row(f"{name}: lag p{share * 100:.0f}, ms", lag, alone, most=most, note=note))


def _is_whole(streamed: Streamed, tokens: int) -> bool:
    """All tokens, in the order in which the model sent them, and the same text in the last line."""
    stamps = [float(token) for token in streamed.tokens]
    text = b"".join(streamed.tokens)
    return len(stamps) == tokens and stamps == sorted(stamps) and b'"text":"%s"' % text in streamed.last


def _lags(streams: Sequence[Streamed]) -> list[float]:
    """Seconds from sent to received, of the tokens sent after every stream's first had been received."""
    begun = max((streamed.times[0] for streamed in streams if streamed.times), default=0.0)
    return [
        received - float(token)
        for streamed in streams
        for token, received in zip(streamed.tokens, streamed.times, strict=True)
        if float(token) > begun
    ]
