"""What can go wrong, as callers see it.

    HoldfastError                INTERNAL_SERVER_ERROR   our bug; the details are in the log
    ├── Refused                                          can never succeed as asked
    │   ├── BadRequest           BAD_REQUEST             malformed, or against the contract
    │   ├── NotAuthenticated     NOT_AUTHENTICATED       no valid key or token
    │   ├── NotAuthorized        NOT_AUTHORIZED          a valid token, but not for this
    │   ├── NotFound             NOT_FOUND               no such thing, or not yours
    │   ├── MethodNotAllowed     METHOD_NOT_ALLOWED      the path exists, the verb does not
    │   ├── TooLarge             CONTENT_TOO_LARGE       the body is over the limit
    │   │   ├── HeadersTooLarge  CONTENT_TOO_LARGE       the headers are
    │   │   └── TargetTooLong    CONTENT_TOO_LARGE       the path and the query are
    │   ├── UnsupportedMedia     UNSUPPORTED_MEDIA_TYPE  the body is not UTF-8 JSON
    │   ├── Conflict             CONFLICT                somebody else got there first
    │   ├── NotServed            NOT_IMPLEMENTED         upstream has it, this server does not yet
    │   ├── SecretUnusable       SECRET_UNUSABLE         it has no value that a key here opens
    │   └── LimitsReached        LIMITS_REACHED          a stated limit; wait or raise it
    ├── Waiting                  TIMEOUT                 the run goes on, this request does not
    ├── Unfinished               TIMEOUT                 the request did not come in whole in time
    ├── Unavailable              SERVICE_UNAVAILABLE     a part is down; nothing was done; retry
    │   └── TooSlow              SERVICE_UNAVAILABLE     it is there, and took longer than it may
    ├── Stale                    STALE                   another attempt owns this step now
    ├── ModelError                                       the model's side of a turn
    │   ├── ModelUnavailable     MODEL_UNAVAILABLE       refused, reset, 5xx, timed out: retried
    │   ├── ModelBusy            MODEL_BUSY              429: retried after what it says
    │   ├── ModelBroken          MODEL_BROKEN            not a valid answer, or cut short: retried
    │   └── ModelRefused         MODEL_REFUSED           4xx: the request cannot succeed
    ├── ToolError            TOOL_ERROR              the tool is set up in a way that cannot work
    │   ├── BadArguments     BAD_ARGUMENTS           what the model gave does not fit; it may try again
    │   ├── ToolBlocked      TOOL_BLOCKED            an address that this server does not call
    │   └── ToolUnavailable  TOOL_UNAVAILABLE        no answer; `sent` tells whether it may have happened
    └── Ended                                            why a run ended without an answer
        ├── PlanLost             PLAN_LOST               its workflow was closed from outside
        ├── WorkerLost           WORKER_LOST             its worker died or fell silent, every time
        ├── PlanFailed           PLAN_FAILED             its workflow met a bug of ours
        └── TooLong              CONVERSATION_TOO_LONG   its messages are more than a turn may read

The class docstring is the default message. Codes of the first half are ChatBotKit's
(contract: `{message, code}`); the others are ours. Codes are for ever.
"""

from __future__ import annotations

from typing import ClassVar

from domain.completion import Usage


class HoldfastError(Exception):
    """Something went wrong on our side; quote the request id to the operator."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str | None = None, *, retry_after: float | None = None, run_id: str | None = None
    ) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, where the thrower knows."""
        self.run_id = run_id
        """The run this is about, where there is one."""
        super().__init__(self.message)


class Refused(HoldfastError):
    """The request cannot succeed as asked."""


class BadRequest(Refused):
    """The request is malformed."""

    code = "BAD_REQUEST"


class NotAuthenticated(Refused):
    """No valid API key: send `Authorization: Bearer <key>`; `python -m store key create` makes one."""

    code = "NOT_AUTHENTICATED"


class NotAuthorized(Refused):
    """A session's token opens the turns, messages and runs of its conversation; this needs an API key."""

    code = "NOT_AUTHORIZED"


class NotFound(Refused):
    """No such object in this account."""

    code = "NOT_FOUND"


class MethodNotAllowed(Refused):
    """This path does not take this verb: GET reads, POST does the rest."""

    code = "METHOD_NOT_ALLOWED"


class TooLarge(Refused):
    """The body is larger than this server takes (HOLDFAST_BODY_BYTES); send less."""

    code = "CONTENT_TOO_LARGE"


class HeadersTooLarge(TooLarge):
    """The request's headers are larger than this server takes; send fewer or shorter ones."""


class TargetTooLong(TooLarge):
    """The request's path and query are longer than this server takes; shorten them."""


class UnsupportedMedia(Refused):
    """The body must be JSON in UTF-8, not compressed: send `Content-Type: application/json`."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class Conflict(Refused):
    """This does not fit what is already there."""

    code = "CONFLICT"


class NotServed(Refused):
    """This server does not serve that yet."""

    code = "NOT_IMPLEMENTED"


class SecretUnusable(Refused):
    """The secret has no value that this server can use; set one with secret/update."""

    code = "SECRET_UNUSABLE"


class LimitsReached(Refused):
    """A limit of this server is reached; wait and try again."""

    code = "LIMITS_REACHED"


class Waiting(HoldfastError):
    """The run is still going; read it with run/fetch or subscribe to it."""

    code = "TIMEOUT"


class Unfinished(HoldfastError):
    """The request did not come in whole in time; nothing was done, send it again."""

    code = "TIMEOUT"


class Unavailable(HoldfastError):
    """A part of the server cannot be reached and nothing was done; try again shortly."""

    code = "SERVICE_UNAVAILABLE"
    retryable = True


class TooSlow(Unavailable):
    """The database took too long over this and nothing was done; ask for less, or try again later."""


class Stale(HoldfastError):
    """Another attempt has taken this step over."""

    code = "STALE"
    retryable = True


class ModelError(HoldfastError):
    """The model gave no answer."""

    code = "MODEL_ERROR"

    usage: Usage = Usage()
    """The tokens of the call that its server told of before it failed."""


class ModelUnavailable(ModelError):
    """The model's server could not be reached or failed, several times."""

    code = "MODEL_UNAVAILABLE"
    retryable = True


class ModelBusy(ModelError):
    """The model's server said it is too busy, several times; try later or raise its limit."""

    code = "MODEL_BUSY"
    retryable = True


class ModelBroken(ModelError):
    """The model's answer was cut short or could not be read, several times."""

    code = "MODEL_BROKEN"
    retryable = True


class ModelRefused(ModelError):
    """The model's server refused the request; check the model's name, its key and the parameters."""

    code = "MODEL_REFUSED"


class ToolError(HoldfastError):
    """The tool cannot be called as it is set up; check its instruction and its secret."""

    code = "TOOL_ERROR"


class BadArguments(ToolError):
    """The arguments do not fit the tool's parameters; call it again with others."""

    code = "BAD_ARGUMENTS"


class ToolBlocked(ToolError):
    """The tool is at an address that this server does not call."""

    code = "TOOL_BLOCKED"


class ToolUnavailable(ToolError):
    """The tool's server gave no answer."""

    code = "TOOL_UNAVAILABLE"
    retryable = True

    def __init__(self, message: str | None = None, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether there was a connection: then the request may have been acted on, else surely not."""


class Ended(HoldfastError):
    """The run ended without an answer."""

    code = "ERROR"


class PlanLost(Ended):
    """The run's workflow was closed from outside, by an operator or a timeout."""

    code = "PLAN_LOST"


class WorkerLost(Ended):
    """The worker died or fell silent each time it took this run up; look for what it was doing."""

    code = "WORKER_LOST"


class PlanFailed(Ended):
    """The run's workflow failed on this server's side; the worker's log has the details."""

    code = "PLAN_FAILED"


class TooLong(Ended):
    """The messages are more than a turn may read (HOLDFAST_TRANSCRIPT_BYTES); delete some, or begin anew."""

    code = "CONVERSATION_TOO_LONG"


def family(cls: type[HoldfastError]) -> list[type[HoldfastError]]:
    """A class of the tree and everything below it."""
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in family(sub))]


BY_CODE: dict[str, type[HoldfastError]] = {cls.code: cls for cls in reversed(family(HoldfastError))}
"""Error class by code: how a code that crossed Temporal becomes a sentence again."""


def sentence(code: str) -> str:
    """The default message of a code; a plain one for a code this version does not know."""
    cls = BY_CODE.get(code, Ended)
    return (cls.__doc__ or "").strip()
