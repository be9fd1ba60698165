"""A tool's answer as a model can be told it: bounded, decoded, parsed."""

from __future__ import annotations

import codecs
import json
import re
from encodings import aliases
from typing import Any

import aiohttp

from domain.plain import DEPTH, ITEMS, plain

_TEXTS = re.compile(
    r"text/.+|application/(?:(?:.+\+)?(?:json|xml|yaml)|x-yaml|(?:x-)?ndjson|jsonl|javascript|ecmascript"
    r"|x-www-form-urlencoded|graphql|sql|toml|rtf)|image/svg\+xml|multipart/.+|message/.+"
)
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream")
"""Types that say nothing: the bytes are asked."""
_CHARSETS = re.compile(
    r"utf-?(8|16|32)(-(le|be))?|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-roman|shift_jis(_2004|x0213)?|euc_(jp|kr)"
    r"|iso2022_(jp|kr)(_\w+)?|gb2312|gbk|gb18030|big5(hkscs)?|johab|hz|tis-620"
)
"""Python's names of those that people write in. Others, like `punycode`, are slow or no charsets at all."""
_MODULES = frozenset(aliases.aliases.values())
_UNSHOWN = re.compile(r"[\x00\ud800-\udfff]")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
MARK = "\ufffd"
_LONGEST_HEADER = 2_000


async def body(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """What came, decompressed, `most` bytes of it; and whether there was more."""
    kept = bytearray()
    # Compressed answers grow piece by piece as they are read, so a bomb is left alone once this is full.
    while len(kept) <= most and (piece := await response.content.readany()):
        kept += piece
    return bytes(kept[:most]), len(kept) > most


def media_type(header: str) -> str:
    """Of a Content-Type header; empty where it makes no sense."""
    kind = header.split(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) else ""


def shown(header: str) -> str:
    """A header of the answer on one line."""
    return "".join(char if char.isprintable() else MARK for char in header[:_LONGEST_HEADER])


def text(raw: bytes, kind: str, charset: str | None, cut: bool) -> str:
    """The body in characters that can be stored; of a binary one what it is."""
    if not _is_text(raw, kind):
        size = f"{'more than ' * cut}{len(raw)} bytes"
        return f"(binary, not shown: {kind or 'no type given'}, {size})"
    try:
        told = _decoded(raw, _charset(charset), cut)
    except (UnicodeError, LookupError):
        # It is not of its charset at all, or that of another system.
        told = _decoded(raw, "utf-8", cut)
    return _UNSHOWN.sub(MARK, told.removeprefix("\ufeff"))


def value(told: str, kind: str) -> Any:
    """A whole body as JSON where it is that, else as the text it is."""
    if not kind.endswith("json"):
        return told
    try:
        # It shall fit into the result around it, for callers may hand that back to us.
        return plain(json.loads(told), DEPTH - 1, ITEMS - 4)
    except (ValueError, RecursionError):
        return told


def _decoded(raw: bytes, charset: str, cut: bool) -> str:
    # Of a cut text the last character may be half there.
    return codecs.getincrementaldecoder(charset)("replace").decode(raw, final=not cut)


def _is_text(raw: bytes, kind: str) -> bool:
    if kind not in _UNTOLD:
        return _TEXTS.fullmatch(kind) is not None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        return False
    return b"\x00" not in raw


def _charset(name: str | None) -> str:
    """UTF-8 where none is named that we know. Only known names are looked up: Python remembers all others."""
    written = (name or "").lower().replace("-", "_")
    module = written if written in _MODULES else aliases.aliases.get(written, "utf_8")
    known = codecs.lookup(module).name
    return known if _CHARSETS.fullmatch(known) else "utf-8"
