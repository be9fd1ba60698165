"""Three ways to the same model: through Holdfast, directly, and through the floor, cheap on purpose."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import aiohttp
from temporalio.client import Client, WorkflowHandle

from bench.floor import TASK_QUEUE, Asked, Errand, Floor, FloorErrand
from bench.house import House

Messages = list[tuple[str, str]]
"""(`user` or `bot`, text) in order."""


class BadAnswer(Exception):
    """An answer that is not what the model was told to say."""


class Timing(NamedTuple):
    """Seconds from the call to the first token and to the end of the answer."""

    first: float
    whole: float


@dataclass(frozen=True)
class Format:
    """What one token of a stream begins and ends with."""

    token: bytes
    end: bytes = b'"'


OURS = Format(b'{"type":"token","data":{"token":"')
MODEL = Format(b'"content": "')


def said(tokens: int = 20, **more: int) -> str:
    """A user message that scripts the demo model."""
    parts = {"tokens": tokens, "delay": 0, **more}
    return f"[demo {' '.join(f'{name}={value}' for name, value in parts.items())}]"


def script_of(text: str) -> int:
    """How many tokens a scripted message asks for."""
    return int(text.partition("tokens=")[2].split()[0].rstrip("]"))


class Streamed:
    """One answer as it comes: its tokens with the moment each was received (time.time())."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._rest = b""
        self.tokens: list[bytes] = []
        self.times: list[float] = []
        self.last = b""
        """The last line that is not empty."""

    def take(self, chunk: bytes, now: float) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            _, found, rest = line.partition(self._form.token)
            if found:
                self.tokens.append(rest[: rest.index(self._form.end)])
                self.times.append(now)
            self.last = line or self.last


class Source(NamedTuple):
    """A trigger, and what its source shows."""

    trigger: str
    secret: str


class Caller(Protocol):
    """Whoever can be asked for one turn, answered whole."""

    async def whole(self, place: str, text: str) -> float: ...


class Http:
    """The session that both HTTP callers share; to be entered."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = {"Content-Type": "application/json", **headers}

    async def __aenter__(self) -> Http:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=120),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def post(self, url: str, body: object, headers: dict[str, str] | None = None) -> bytes:
        async with self.session.post(url, data=json.dumps(body).encode(), headers=headers) as answer:
            raw = await answer.read()
            if answer.status != 200:
                raise BadAnswer(f"{url}: {answer.status} {raw[:200]!r}")
            return raw

    async def get(self, url: str) -> dict[str, Any]:
        async with self.session.get(url) as answer:
            found: dict[str, Any] = await answer.json()
            if answer.status != 200:
                raise BadAnswer(f"{url}: {answer.status} {str(found)[:200]}")
            return found

    async def stream(self, url: str, body: object, form: Format, **headers: str) -> Streamed:
        streamed = Streamed(form)
        async with self.session.post(url, data=json.dumps(body).encode(), headers=headers) as answer:
            if answer.status != 200:
                raise BadAnswer(f"{url}: {answer.status} {(await answer.read())[:200]!r}")
            async for chunk in answer.content.iter_any():
                streamed.take(chunk, time.time())
        return streamed


class Ours:
    """Stateful completions; a place is a conversation."""

    def __init__(self, house: House, http: Http) -> None:
        self._url = f"{house.url}/v1"
        self._http = http

    async def conversation(self, messages: Iterable[tuple[str, str]] = ()) -> str:
        given = [{"type": kind, "text": text} for kind, text in messages]
        made = await self._http.post(f"{self._url}/conversation/create", {"messages": given})
        found: str = json.loads(made)["id"]
        return found

    async def whole(self, place: str, text: str) -> float:
        began = time.perf_counter()
        raw = await self._http.post(f"{self._url}/conversation/{place}/complete", {"text": text})
        took = time.perf_counter() - began
        if f't{script_of(text)}"'.encode() not in raw:
            raise BadAnswer(raw.decode()[:200])
        return took

    async def errand(self, place: str, errand: Errand) -> float:
        """A turn with calls of an ability that comes with it."""
        instruction = f"```fetch\nGET {errand.url}?n={{n: integer}}\n```"
        look = {"name": "look", "description": "looks it up", "instruction": instruction}
        skillsets = [{"name": "bench", "abilities": [look]}]
        given = {"text": errand.text, "extensions": {"skillsets": skillsets}}
        began = time.perf_counter()
        raw = await self._http.post(f"{self._url}/conversation/{place}/complete", given)
        took = time.perf_counter() - began
        _check(errand, json.loads(raw)["text"])
        return took

    async def run_id(self, place: str, text: str) -> str:
        """Like `whole`; the id of the run."""
        raw = await self._http.post(f"{self._url}/conversation/{place}/complete", {"text": text})
        found: str = json.loads(raw)["runId"]
        return found

    async def dispatch(self, channel: str, text: str) -> None:
        """A stateless completion in the background, told on a channel."""
        given = {"channelId": channel, "messages": [{"type": "user", "text": text}]}
        await self._http.post(f"{self._url}/conversation/dispatch", given)

    async def publish(self, channel: str) -> None:
        """Something on a channel of no run, which makes it exist."""
        await self._http.post(f"{self._url}/channel/{channel}/publish", {"message": {}})

    async def streamed(self, place: str, text: str) -> Timing:
        began = time.time()
        streamed = await self.stream(place, text)
        return _timing(began, streamed, script_of(text))

    async def stream(self, place: str, text: str) -> Streamed:
        url = f"{self._url}/conversation/{place}/complete"
        return await self._http.stream(url, {"text": text}, OURS, Accept="application/jsonl")

    async def task(self, given: dict[str, Any]) -> str:
        """Saves a task."""
        raw = await self._http.post(f"{self._url}/task/create", given)
        found: str = json.loads(raw)["id"]
        return found

    async def tasks(self, take: int, cursor: str) -> tuple[list[Any], str]:
        """A page of all tasks, and what asks for the next."""
        page = await self._http.get(f"{self._url}/task/list?take={take}&cursor={cursor}")
        return page["items"], page["cursor"]

    async def begun(self, task: str) -> float | None:
        """When (time.time()) the last run of a task began."""
        found = await self._http.get(f"{self._url}/task/{task}/fetch")
        return found["lastRunAt"] / 1000 if found.get("lastRunAt") else None

    async def remove_task(self, task: str) -> None:
        await self._http.post(f"{self._url}/task/{task}/delete", {})

    async def trigger(self, given: dict[str, Any]) -> Source:
        made = json.loads(await self._http.post(f"{self._url}/integration/trigger/create", given))["id"]
        return Source(made, (await self._trigger(made))["secret"])

    async def event(self, source: Source, name: str) -> None:
        """Posts one, which its source calls so."""
        headers = {"Authorization": f"Bearer {source.secret}", "Idempotency-Key": name}
        url = f"{self._url}/integration/trigger/{source.trigger}/event"
        await self._http.post(url, {"type": "document.uploaded", "name": name}, headers)

    async def target(self, source: Source) -> str:
        """Where a trigger's results are posted."""
        found: str = (await self._trigger(source.trigger))["delivery"]["webhook"]["targetId"]
        return found

    async def ping(self, target: str) -> None:
        await self._http.post(f"{self._url}/target/{target}/test", {})

    async def remove_trigger(self, source: Source) -> None:
        await self._http.post(f"{self._url}/integration/trigger/{source.trigger}/delete", {})

    async def _trigger(self, trigger: str) -> dict[str, Any]:
        return await self._http.get(f"{self._url}/integration/trigger/{trigger}/fetch")

    async def run(self, run_id: str) -> dict[str, Any]:
        return await self._http.get(f"{self._url}/run/{run_id}/fetch")


class Direct:
    """The model's server itself, streamed as our adapter streams it; it knows no places."""

    def __init__(self, house: House, http: Http) -> None:
        self._url = f"{house.model_url}/chat/completions"
        self._http = http

    async def whole(self, place: str, text: str) -> float:
        return (await self.streamed(place, text)).whole

    async def streamed(self, _: str, text: str, before: Messages | None = None) -> Timing:
        began = time.time()
        streamed = await self.stream([*(before or []), ("user", text)])
        return _timing(began, streamed, script_of(text))

    async def stream(self, messages: Messages) -> Streamed:
        roles = {"user": "user", "bot": "assistant"}
        given = [{"role": roles[kind], "content": text} for kind, text in messages]
        body = {"model": "demo", "stream": True, "messages": given}
        return await self._http.stream(self._url, body, MODEL)


class Floored:
    """A bare workflow per turn."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def whole(self, _: str, text: str, before: Messages | None = None) -> float:
        began = time.perf_counter()
        answer = await (await self.start(text, before)).result()
        if not answer.endswith(f"t{script_of(text)}"):
            raise BadAnswer(answer[:200])
        return time.perf_counter() - began

    async def errand(self, errand: Errand) -> float:
        began = time.perf_counter()
        answer = await self._client.execute_workflow(
            FloorErrand.run, errand, id=f"floor/{uuid4()}", task_queue=TASK_QUEUE
        )
        took = time.perf_counter() - began
        _check(errand, answer)
        return took

    async def start(self, text: str, before: Messages | None = None) -> WorkflowHandle[Floor, str]:
        asked = Asked([*(before or []), ("user", text)])
        return await self._client.start_workflow(
            Floor.run, asked, id=f"floor/{uuid4()}", task_queue=TASK_QUEUE
        )


def _check(errand: Errand, answer: str) -> None:
    """The model repeats what its tools said."""
    if answer.count("done") != errand.calls:
        raise BadAnswer(answer[:200])


def _timing(began: float, streamed: Streamed, tokens: int) -> Timing:
    if len(streamed.tokens) != tokens:
        raise BadAnswer(f"{len(streamed.tokens)} tokens instead of {tokens}; then {streamed.last[:200]!r}")
    return Timing(streamed.times[0] - began, time.time() - began)
