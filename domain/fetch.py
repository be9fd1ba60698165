"""An HTTP request with parameters in it: the `fetch` kind of an instruction.

Every value is encoded for the place where it stands: it changes what is said there and never the shape of the
request, for it adds no segment, pair, header, member or line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from domain import headers, parameters, payload, target
from domain.base import Frozen
from domain.errors import BadArguments, ToolError
from domain.outgoing import Outgoing
from domain.parameters import SECRET, Parameter, words
from domain.payload import Body
from domain.secret import Revealed, forms, header
from domain.target import Target, check_words
from domain.templates import Slot, Template, check_size, fill, joined, slots, split, text_of, uses, wrong
from domain.tools import Effect

METHODS: dict[str, Effect] = {
    "GET": "idempotent",
    "HEAD": "idempotent",
    "PUT": "idempotent",
    "DELETE": "idempotent",
    "OPTIONS": "idempotent",
    "POST": "once",
    "PATCH": "once",
}
"""What HTTP says of each, taken unless the instruction says otherwise."""
BODILESS = ("GET", "HEAD", "OPTIONS")
MOST_HEADERS = 100

_METHOD = re.compile(r"([A-Za-z]+)[ \t]+")


class Fetch(Frozen):
    """A request template."""

    kind: Literal["fetch"] = "fetch"
    effect: Effect
    declared: tuple[Parameter, ...]
    method: str
    target: Target
    headers: tuple[tuple[str, Template], ...]
    body: Body | None
    used: dict[str, int]
    """How often each parameter stands somewhere."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        return parameters.schema(self.declared)

    @property
    def needs_secret(self) -> bool:
        return any(slot.parameter is None for _, value in self.headers for slot in slots(value))

    def request(self, arguments: Mapping[str, Any], revealed: Revealed | None) -> Outgoing:
        """The request with these arguments in it, `revealed` being what `{secret}` stands for.

        Raises BadArguments with a sentence for the model where they do not fit, and ToolError where the
        secret is missing or no header can carry it.
        """
        values = parameters.check(self.declared, arguments)
        secrets: tuple[str, ...] = ()
        if self.needs_secret:
            values[SECRET], secrets = _carried(revealed)
        check_size(self.used, values)
        return Outgoing(
            method=self.method,
            url=self.target.url(values),
            headers=tuple(self._sent(values)),
            body=None if self.body is None else self.body.sent(values),
            secrets=secrets,
        )

    def _sent(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Headers; one whose parameter was left out is not sent."""
        filled = ((name, fill(value, values, words)) for name, value in self.headers)
        return [(name, _safe(name, value)) for name, value in filled if value is not None]


def read(template: Template, declared: tuple[Parameter, ...], effect: Effect | None, line: int) -> Fetch:
    """The block's text; `line` is the number of its first. Raises BadRequest, saying what is wrong where."""
    first, *rest = split(template, "\n")
    method, url = _request_line(first, line)
    end = next((at for at, row in enumerate(rest) if not slots(row) and not text_of(row).strip()), len(rest))
    headers = _headers(rest[:end], line + 1)
    content = _lines(rest[end + 1 :])
    body = None
    if slots(content) or text_of(content).strip():
        if method in BODILESS:
            raise wrong(line + end + 2, f"a {method} request has no body.")
        headers, kind = _typed(headers, line + 1)
        body = payload.read(content, kind, line + end + 2)
    return Fetch(
        effect=effect or METHODS[method],
        declared=declared,
        method=method,
        target=target.read(url, line),
        headers=headers,
        body=body,
        used=uses(template),
    )


def _request_line(template: Template, line: int) -> tuple[str, Template]:
    first = template[0] if template and isinstance(template[0], str) else ""
    found = _METHOD.match(first)
    if found is None or found[1] not in METHODS:
        raise wrong(line, f"the first line is a method ({', '.join(METHODS)}), a space and a URL.")
    last = len(template) - 1
    pieces = (first[found.end() :], *template[1:])
    trimmed = (
        piece.rstrip() if at == last and isinstance(piece, str) else piece for at, piece in enumerate(pieces)
    )
    return found[1], joined(tuple(trimmed))


def _headers(rows: list[Template], line: int) -> tuple[tuple[str, Template], ...]:
    made: dict[str, tuple[str, Template]] = {}
    if len(rows) > MOST_HEADERS:
        raise wrong(line + MOST_HEADERS, f"a request has at most {MOST_HEADERS} headers.")
    for at, row in enumerate(rows, line):
        name, value = _header(row, at)
        if name.lower() in made:
            raise wrong(at, f"the header `{name}` is there already.")
        made[name.lower()] = name, value
    return tuple(made.values())


def _header(row: Template, line: int) -> tuple[str, Template]:
    name, *value = split(row, ":", 1)
    if not value or slots(name) or not headers.is_name(text_of(name)):
        raise wrong(
            line, "a header is a name without parameters, `:` and a value; a blank line ends the headers."
        )
    if text_of(name).lower() in headers.RESERVED:
        raise wrong(
            line, f"`{text_of(name)}` is written by this server or belongs to the connection; leave it out."
        )
    if not headers.is_safe(text_of(value[0])):
        raise wrong(line, "a header's text is printable ASCII.")
    check_words(tuple(slot for slot in slots(value[0]) if slot.parameter is not None), line, "a header")
    return text_of(name), value[0]


def _typed(
    headers: tuple[tuple[str, Template], ...], line: int
) -> tuple[tuple[tuple[str, Template], ...], str]:
    """The headers with a Content-Type, and what it is: JSON unless said."""
    for at, (name, value) in enumerate(headers, line):
        if name.lower() == "content-type":
            if slots(value):
                raise wrong(at, "no parameter may stand in the Content-Type of a body.")
            return headers, text_of(value).strip()
    return (*headers, ("Content-Type", (payload.JSON,))), payload.JSON


def _lines(rows: list[Template]) -> Template:
    """The rows with the line breaks between them again."""
    pieces: list[str | Slot] = []
    for row in rows:
        pieces.extend(("\n", *row))
    return joined(tuple(pieces[1:]))


def _safe(name: str, value: str) -> str:
    trimmed = value.strip(" \t")
    if not headers.is_safe(trimmed) or len(trimmed) > headers.LONGEST:
        raise BadArguments(
            f"The header `{name}` takes printable ASCII on one line, {headers.LONGEST} characters at most."
        )
    return trimmed


def _carried(revealed: Revealed | None) -> tuple[str, tuple[str, ...]]:
    """What a header says of the secret, and what no answer may say."""
    if revealed is None:
        raise ToolError("The ability's instruction names `{secret}`, and no secret is linked to the ability.")
    secret = header(revealed).get_secret_value()
    if not secret or not headers.is_safe(secret) or len(secret) > headers.LONGEST:
        raise ToolError(
            "The ability's secret is empty or long, has a line break or characters that no header carries; "
            "set it anew."
        )
    return secret, forms(revealed)
