"""How a process writes its log: a line a record, as text or as JSON, with ids and with no user's words."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from domain import at_hand
from telemetry.codes import code_of

if TYPE_CHECKING:
    from settings import Settings

_log = logging.getLogger(__name__)

_FRAMES = 20
_CAUSES = 8


def begin(chosen: Settings) -> None:
    """From here on everything this process logs, ours or a library's, goes to stderr in the chosen form."""
    handler = logging.StreamHandler()
    handler.setFormatter(Json() if chosen.log_format == "json" else Text())
    handler.addFilter(_said)
    logging.basicConfig(level=chosen.log_level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _unhandled


class Text(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        names = " ".join(f"{name}={text}" for name, text in at_hand.ids().items())
        return super().formatMessage(record) + (f" [{names}]" if names else "")

    def formatException(self, ei: Any) -> str:
        return "\n".join(_line(error) for error in _told(ei[1]))


class Json(logging.Formatter):
    """One object a line: `ts` (ISO 8601, UTC), `level`, `logger`, `message`, the ids at hand, and `errors`,
    each with its type, its code where it has one, and where it was raised."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "ts": f"{at[:-6]}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **at_hand.ids(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["errors"] = list(_told(record.exc_info[1]))
        return json.dumps(line)


def _line(error: dict[str, Any]) -> str:
    named = " ".join(str(mark) for name, mark in error.items() if name != "at")
    return f"  {named} at {', '.join(error['at'])}"


def _said(record: logging.LogRecord) -> bool:
    """asyncio shows the error of a task nobody awaited, words and all; its first line says what happened."""
    if record.name == "asyncio":
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def _told(error: BaseException | None) -> Iterator[dict[str, Any]]:
    """An error and what caused it, without their messages: those may quote a caller, a model or a secret."""
    waiting = [error]
    for _ in range(_CAUSES):
        error = waiting.pop(0) if waiting else None
        if error is None:
            return
        yield {"type": type(error).__qualname__, **_marks(error), "at": _places(error.__traceback__)}
        waiting += error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        waiting.append(error.__cause__ or (None if error.__suppress_context__ else error.__context__))


def _marks(error: BaseException) -> dict[str, Any]:
    """What of an error is a code by its making: ours, Postgres's, the system's."""
    if code := code_of(error):
        return {"code": code}
    marks = {"sqlstate": getattr(error, "sqlstate", None), "errno": getattr(error, "errno", None)}
    return {name: mark for name, mark in marks.items() if isinstance(mark, int) or _is_sqlstate(mark)}


def _is_sqlstate(mark: object) -> bool:
    return isinstance(mark, str) and len(mark) == 5 and mark.isalnum()


def _places(trace: TracebackType | None) -> list[str]:
    """The innermost first."""
    found = [
        f"{'/'.join(PurePath(frame.f_code.co_filename).parts[-2:])}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return found[::-1][:_FRAMES]


def _unhandled(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _log.critical("the process ends", exc_info=(kind, error, trace))
