"""The OpenAPI document: what is served, told by the signatures of those who serve it."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from api.channels import SHORTEST
from api.errors import Refusal
from api.lists import Query
from api.responses import Responses, items
from api.schemas import Components, Schema
from api.signature import Handler, Signature
from domain.paging import TAKE

VERSION = "0.1.0"

Served = Sequence[tuple[str, str, Handler]]

_DESCRIPTION = """\
The calls of the ChatBotKit v1 API that this server serves, and its own, of runs. A call of that API that is
not listed here answers 501 `NOT_IMPLEMENTED`, and so does a field that is listed under `x-not-served`.

`Accept` decides how an answer comes: `application/json` when it is whole, `application/jsonl` or
`text/event-stream` as it happens. The schema of a stream is the schema of one line of it, or of one event.
Between them may be spaces and comments, as signs of life.

Times are epoch milliseconds. Every answer has an `X-Request-Id`."""
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An account's key; for a chat on its own conversation also a session's token.",
}
_PLACES: dict[str, Schema] = {"channel": {"minLength": SHORTEST}}
"""Names in paths that are not just any id."""


def endpoint(served: Served) -> Callable[[Request], Awaitable[Response]]:
    """Answers with the document, made once, for the first who asks; nobody needs a key to read it."""

    @cache
    def told() -> bytes:
        return json.dumps(document(served), separators=(",", ":")).encode()

    async def tell(_request: Request) -> Response:
        return Response(told(), media_type="application/json")

    return tell


def document(served: Served) -> Schema:
    """OpenAPI 3.1, as JSON to be."""
    signatures = {handler: Signature.of(handler) for _, _, handler in served}
    bodies = {signature.body for signature in signatures.values()}
    shown = {item for signature in signatures.values() for item in items(signature)}
    components = Components(sorted(bodies, key=str), sorted(shown | {Refusal}, key=str))
    responses = Responses(components)
    names = _names([path for _, path, _ in served])
    paths: dict[str, Schema] = {}
    for verb, path, handler in served:
        told = _operation((verb, path), handler, signatures[handler], components)
        told["responses"] = responses.of(verb, path, signatures[handler])
        paths.setdefault(path, {})[verb.lower()] = {"operationId": names[path], **told}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v1"}, {"url": "/api/v1"}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in sorted({_tag(path) for path in paths})],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": responses.shared,
            "securitySchemes": {"key": _KEY},
        },
    }


def _operation(
    place: tuple[str, str], handler: Handler, signature: Signature, components: Components
) -> Schema:
    verb, path = place
    told: Schema = {"summary": _summary(path), "tags": [_tag(path)]}
    if handler.__doc__:
        told["description"] = inspect.cleandoc(handler.__doc__)
    told["parameters"] = [*_in_path(path), *_in_query(signature), *_in_header(signature)]
    if verb == "POST":
        told["requestBody"] = _body(signature, components)
    later = signature.body.NOT_SERVED | (signature.query.LATER if signature.query else frozenset())
    return told | ({"x-not-served": sorted(later)} if later else {})


def _body(signature: Signature, components: Components) -> Schema:
    required = not {"required", "minProperties"}.isdisjoint(signature.body.model_json_schema())
    return {"required": required, "content": {"application/json": {"schema": components.of(signature.body)}}}


def _in_path(path: str) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255} | _PLACES.get(name, {}),
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _in_query(signature: Signature) -> list[Schema]:
    query = signature.query
    if query is None:
        return []
    own = [_filter(query, name) for name in sorted(query.KNOWN)]
    return [*(_PAGE if query.PAGED else []), *own, *([_META] if query.META else [])]


def _filter(query: type[Query], name: str) -> Schema:
    schema: Schema = query.FORMS[name].json_schema() if name in query.FORMS else {"type": "string"}
    several: Schema = {"style": "form", "explode": False, "schema": {"type": "array", "items": schema}}
    return {"name": name, "in": "query", **(several if name in query.MANY else {"schema": schema})}


def _in_header(signature: Signature) -> list[Schema]:
    return [{"name": name, "in": "header", **told} for name, told in signature.headers.items()]


_PAGE: list[Schema] = [
    {
        "name": "cursor",
        "in": "query",
        "description": "The `cursor` of the page before.",
        "schema": {"type": "string"},
    },
    {
        "name": "order",
        "in": "query",
        "description": "By creation: newest first, or oldest first.",
        "schema": {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
    },
    {
        "name": "take",
        "in": "query",
        "description": "Items on a page; of all pages together where they are streamed.",
        "schema": {"type": "integer", "minimum": 1, "maximum": TAKE, "default": TAKE},
    },
]
_META: Schema = {
    "name": "meta",
    "in": "query",
    "description": "What the items' meta must hold: `meta[a]=x`, or `meta[a.b]=x` for what lies deeper.",
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": ["string", "boolean"]}},
}


def _words(path: str) -> list[str]:
    return [word for word in path.split("/") if word and not word.startswith("{")]


def _tag(path: str) -> str:
    return _words(path)[0]


def _summary(path: str) -> str:
    """`/bot/{bot}/fetch` is `Bot: fetch`."""
    *nouns, act = _words(path)
    return f"{' '.join(nouns)}: {act}".capitalize()


def _names(paths: list[str]) -> dict[str, str]:
    """Operation ids, of a path's words; of two with the same words the one with an id is stateful."""
    words = {path: _camel(_words(path)) for path in paths}
    times = Counter(words.values())
    return {
        path: _camel(["stateful", *_words(path)]) if times[name] > 1 and "{" in path else name
        for path, name in words.items()
    }


def _camel(words: list[str]) -> str:
    return "".join(word if at == 0 else word[:1].upper() + word[1:] for at, word in enumerate(words))
