"""Temporal's own runtime: what it logs goes where we log, what it counts is served on the loopback."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPException

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

_log = logging.getLogger(__name__)

_TRIES = 5
_SECONDS = 2.0
"""How long a scrape waits for Temporal's part."""


def begin(*, counting: bool) -> int:
    """Sets up the runtime that every client of this process is made with; returns its port, 0 if none."""
    forwarded = LogForwardingConfig(logging.getLogger("temporalio"), append_target_to_name=False)
    logs = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarded)
    if not counting:
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs)))
        return 0
    for _ in range(_TRIES):
        port = _free_port()
        counts = PrometheusConfig(
            f"127.0.0.1:{port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
        )
        # Somebody may take it meanwhile.
        with suppress(ValueError):
            Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs, metrics=counts)))
            return port
    raise OSError("no port of the loopback is free for Temporal's metrics")


def metrics(port: int) -> bytes:
    """What Temporal's SDK has counted, in Prometheus's text format; empty when it does not tell."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()
    except (OSError, HTTPException) as trouble:
        _log.warning("Temporal's metrics are missing from a scrape (%s)", type(trouble).__name__)
        return b""
    finally:
        connection.close()


def _free_port() -> int:
    """The SDK tells nobody which port it was given, so it is given one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
