"""What the clients did and what they were told, each line on disk before anything else happens."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from bench.torture.signing import Source

Outcome = Literal["ok", "fail", "unknown"]
Heard = tuple[int, str, Any]
"""A streamed event: seq, type, data."""


@dataclasses.dataclass
class Op:
    """One operation of one client, as far as its client knows."""

    id: str
    kind: str
    text: str = ""
    plain: bool = True
    keyed: bool = True
    expected: str = ""
    """The answer to a plain text; where tools are called, its beginning."""
    body: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What its agent is handed besides: functions, extensions; of a task what is said of it, or changed."""
    channel: str | None = None
    """What its functions are answered on, or what it publishes on."""
    ends: str = "stop"
    """The reason for which a plain one ends."""
    refusal: str = ""
    """The code it may be refused with."""
    forbidden: bool = False
    """It must be refused, with that code."""
    conversation: str | None = None
    task: str | None = None
    """The one it is about, unless it makes it."""
    trigger: str | None = None
    """The one it is about, unless it makes it."""
    event: str | None = None
    """What its source calls the event."""
    order: str | None = None
    """The ordering key of the event."""
    session: str | None = None
    """What the event names as its session."""
    told: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """What each call that set a trigger off was answered."""
    acknowledged_at: float = 0.0
    """When (time.time()) a trigger's call was answered for the first time."""
    delivers: str | None = None
    """The URL at which its result is to be delivered."""
    run: str | None = None
    made: str | None = None
    """The id it was answered with."""
    listed: list[str] = dataclasses.field(default_factory=list)
    """The ids of the items it read, in the order they came; of a trigger the runs it was told of."""
    answer: str | None = None
    end: str | None = None
    """The reason in the terminal result."""
    error: str | None = None
    outcome: Outcome = "unknown"
    heard: list[list[Heard]] = dataclasses.field(default_factory=list)
    """The events of each connection that listened, in the order they came."""
    interrupts: str | None = None
    """The run that was speaking when this call said `onBusy: interrupt`."""
    tries: int = 0
    denied: bool = False
    """A 503 said that nothing was done."""
    bugs: int = 0
    """Answers that never should be: a 500, a line that cannot be read, a 5xx that names a run."""
    began_at: float = 0.0
    over_at: float = 0.0
    """Both time.time()."""


class History:
    """An fsynced file of JSON lines: `invoke` when an operation begins, its outcome when it is over."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines: IO[str] = file.open("a")
        self.ops: list[Op] = []
        self.deleted: set[str] = set()
        """Conversations whose deletion was acknowledged."""
        self.doomed: set[str] = set()
        """Conversations whose deletion was asked for: nothing is promised of them any more."""
        self.expiring: set[str] = set()
        """Conversations that were made with an early end, doomed too."""
        self.tasks: list[Op] = []
        """Those that made the tasks that are there all the while."""
        self.triggers: dict[str, Source] = {}
        """As their sources know them, by their ids."""
        self.sources: list[Source] = []
        """Those of them that are there all the while."""

    def invoke(self, op: Op) -> Op:
        self.ops.append(op)
        op.began_at = time.time()
        known: dict[str, Any] = {"conversation": op.conversation, "channel": op.channel}
        known |= {"text": op.text, "keyed": op.keyed, "delivers": op.delivers}
        known |= {"task": op.task, "trigger": op.trigger, "event": op.event, "order": op.order}
        self._write("invoke", op.id, kind=op.kind, body=op.body, **known)
        return op

    def over(self, op: Op, outcome: Outcome) -> None:
        op.outcome, op.over_at = outcome, time.time()
        known = {"run": op.run, "answer": op.answer, "end": op.end, "error": op.error, "heard": op.heard}
        self._write(outcome, op.id, **known, made=op.made, listed=op.listed, told=op.told)

    def dooms(self, conversation: str) -> None:
        self.doomed.add(conversation)
        self._write("invoke", f"delete {conversation}")

    def deletes(self, conversation: str) -> None:
        self.deleted.add(conversation)
        self._write("ok", f"delete {conversation}")

    def expires(self, conversation: str) -> None:
        self.doomed.add(conversation)
        self.expiring.add(conversation)
        self._write("ok", f"expire {conversation}")

    def of(self, *kinds: str) -> Iterator[Op]:
        return (op for op in self.ops if op.kind in kinds)

    def close(self) -> None:
        self._lines.close()

    def _write(self, what: str, op: str, **facts: Any) -> None:
        line = {"at": time.time(), "what": what, "op": op, **facts}
        self._lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._lines.flush()
        os.fsync(self._lines.fileno())
