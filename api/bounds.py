"""The bounds of a connection, and the words for whoever goes beyond them."""

from __future__ import annotations

import dataclasses

from domain.errors import BadRequest, HeadersTooLarge, HoldfastError, TargetTooLong, Unavailable, Unfinished


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The settings of the same names; the answers name them too, so that an operator knows what to turn."""

    header_bytes: int
    receive_seconds: float
    body_seconds: float
    idle_seconds: float
    send_seconds: float
    connections: int

    def head(self, target: int) -> HoldfastError:
        """Too large a head: the target is to blame if it is most of it, else the headers are."""
        limit = f"{self.header_bytes} bytes (HOLDFAST_HEADER_BYTES)"
        if target * 2 > self.header_bytes:
            return TargetTooLong(f"The request's path and query take too much of {limit}; shorten them.")
        return HeadersTooLarge(f"The request's headers are larger than {limit}; send fewer or shorter ones.")

    def framing(self) -> HoldfastError:
        return BadRequest("More came to frame the body than of the body itself; send larger chunks.")

    def slow_head(self) -> HoldfastError:
        limit = f"{self.receive_seconds:g} s (HOLDFAST_RECEIVE_SECONDS)"
        return Unfinished(f"The request's headers did not come within {limit}; send it again.")

    def silent_body(self) -> HoldfastError:
        limit = f"{self.receive_seconds:g} s (HOLDFAST_RECEIVE_SECONDS)"
        return Unfinished(f"Nothing of the body came for {limit}; send the request again.")

    def slow_body(self) -> HoldfastError:
        limit = f"{self.body_seconds:g} s (HOLDFAST_BODY_SECONDS)"
        return Unfinished(f"The body did not come within {limit}; send it faster, or less of it.")

    def crowded(self) -> HoldfastError:
        limit = f"{self.connections} connections (HOLDFAST_CONNECTIONS)"
        return Unavailable(f"This server has all its {limit}; nothing was done, try again shortly.")
