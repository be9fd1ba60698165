"""The judge of answers: each must be as the document says, with nothing in it that is not told."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

import jsonschema_rs

from api.document import document
from api.routes import SERVED

Place = tuple[str, str]
"""A path as the document has it, and a verb in small letters."""


@cache
def told() -> dict[str, Any]:
    return document(SERVED)


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to; anything else as it is."""
    if "$ref" not in part:
        return part
    found: Any = told()
    for name in part["$ref"].split("/")[1:]:
        found = found[name]
    target: dict[str, Any] = found
    return target


def place(verb: str, url: str) -> Place | None:
    """The operation that a URL belongs to, where it is one that is served."""
    path = re.sub(r"^\w+://[^/]+|[?#].*$", "", url)
    for known, verbs in told()["paths"].items():
        if verb.lower() in verbs and _pattern(known).fullmatch(path):
            return known, verb.lower()
    return None


def judge(where: Place | None, status: int, kind: str, raw: bytes) -> None:
    """Fails for an answer that the document does not tell of; where nothing is served, anything goes."""
    if where is None:
        return
    media = kind.split(";")[0]
    responses = told()["paths"][where[0]][where[1]]["responses"]
    assert str(status) in responses, f"{where}: {status} is not in the document: {raw[:500]!r}"
    content = resolved(responses[str(status)])["content"]
    assert media in content, f"{where}: {media} is not in the document"
    for piece in _pieces(media, raw):
        judge_piece(where, status, media, json.loads(piece))


def judge_piece(where: Place | None, status: int, media: str, piece: Any) -> None:
    """The whole of an answer in JSON, or what one line of a stream carries."""
    if where is not None:
        problems = [error.message for error in _validator(where, status, media).iter_errors(piece)]
        assert not problems, f"{where} {status} {media}: {problems}: {piece}"


def _pieces(media: str, raw: bytes) -> list[bytes]:
    if media == "application/json":
        return [raw]
    if media == "text/event-stream":
        return re.findall(rb"^data: ?(.*)$", raw, re.MULTILINE)
    return [line for line in raw.splitlines() if line.strip()] if media == "application/jsonl" else []


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("(/api)?/v1" + re.sub(r"\{\w+\}", "[^/]+", path))


@cache
def _validator(where: Place, status: int, media: str) -> jsonschema_rs.Draft202012Validator:
    response = resolved(told()["paths"][where[0]][where[1]]["responses"][str(status)])
    schema = response["content"][media]["schema"]
    if media == "text/event-stream":
        schema = schema["properties"]["data"]["contentSchema"]
    return jsonschema_rs.Draft202012Validator({"components": {"schemas": _closed()}, **schema})


@cache
def _closed() -> dict[str, Any]:
    """The schemas of answers, so that a field nobody was told of is found."""
    schemas: dict[str, Any] = copy.deepcopy(told()["components"]["schemas"])
    _close(schemas)
    return schemas


def _close(part: Any) -> None:
    if isinstance(part, dict):
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
        for inner in part.values():
            _close(inner)
    elif isinstance(part, list):
        for inner in part:
            _close(inner)
