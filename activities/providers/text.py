"""The words of a model's server as we can keep them."""

from __future__ import annotations

import json
import re

from domain.errors import ModelBroken

_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Without what Postgres refuses: NUL, and surrogates without their other half."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def cleaned(value: object) -> object:
    """The same JSON with clean texts. Raises RecursionError where it is nested too deeply."""
    match value:
        case str():
            return clean(value)
        case list():
            return [cleaned(item) for item in value]
        case dict():
            return {clean(str(key)): cleaned(item) for key, item in value.items()}
    return value


def size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def grown(so_far: str, piece: str) -> str:
    """A text with its next piece: some servers send pieces, others each time all of it."""
    return piece if piece.startswith(so_far) else so_far + piece


def dumped(value: object) -> str:
    """JSON on one line. Raises ModelBroken where it is nested too deeply."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise ModelBroken("The model's answer contains an object that is nested too deeply.") from error
