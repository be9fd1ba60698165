"""The worker and the API as the tests run them: with a codec that refuses what must not be in Temporal.

`python -m tests.guarded worker|api`: the product's own processes, whose data converter raises on payloads
over 8 KiB and on the canary word, in failures too (their attributes are encoded). Each refusal is a line in
the file that VIOLATIONS names, which the house reads when it closes.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence

import uvloop
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

import settings
import worker
from api.__main__ import serve
from starter import Starter
from telemetry import logs

LIMIT = 8 * 1024
CANARY = b"canary"


class Guard(PayloadCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        for payload in payloads:
            if len(payload.data) > LIMIT or CANARY in payload.data.lower():
                _report(payload.data)
                raise ValueError("a payload with words was about to enter Temporal")
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


def _report(data: bytes) -> None:
    with open(os.environ["VIOLATIONS"], "a") as file:
        file.write(f"{len(data)} bytes: {data[:200]!r}\n")


def converter() -> DataConverter:
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=Guard(),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def main() -> None:
    chosen = settings.load()
    logs.begin(chosen)
    if sys.argv[1] == "worker":
        uvloop.run(worker.run(chosen, converter()))
    else:
        serve(chosen, lambda: Starter.open(chosen.task_queue, converter()))


if __name__ == "__main__":
    main()
