"""Which parts run here, and the environment they are given."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import home as files
from deploy import ports, postgres, temporal, tether
from deploy.child import Spec
from settings import Settings

STOPS = {"postgres": postgres.STOP, "temporal": temporal.STOP}
"""The signals on which parts end gracefully, where it is not SIGTERM."""
PORTS = ("postgres", "temporal", "temporal_ui", "model", "api_metrics", "worker_metrics")
BEHIND = {"worker": 10, "temporal": 10}
"""The niceness of what takes all there is while runs wait: who calls the API is not to wait for it."""
LOOPBACK = "127.0.0.1"
TEMPORAL_CHOSEN = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")


@dataclass(frozen=True)
class Parts:
    """The choice of one start: what is embedded, where it listens, what the children see."""

    home: Path
    url: str
    ports: Mapping[str, int]
    env: dict[str, str]
    embeds_postgres: bool
    embeds_temporal: bool
    embeds_model: bool
    calls_loopback: bool
    """Abilities may call servers on this machine."""
    model: str
    """What answers, as the welcome says it."""

    def spec(self, name: str, *words: str) -> Spec:
        """A Python process of ours: `words` is what follows `python`."""
        argv = tether.command(signal.SIGTERM, [sys.executable, *words], nice=BEHIND.get(name, 0))
        seen = {
            "HOLDFAST_METRICS_HOST": LOOPBACK,
            "HOLDFAST_METRICS_PORT": str(self.ports.get(f"{name}_metrics", 0)),
        }
        if name in ("api", "worker"):
            seen["HOLDFAST_OUTBOUND_LOOPBACK"] = str(self.calls_loopback)
        return Spec(name, argv, self.env | seen)

    def metrics(self, name: str) -> str:
        """Where one of our processes is scraped."""
        return f"http://{LOOPBACK}:{self.ports[f'{name}_metrics']}/metrics"

    def engine(self, name: str) -> Spec:
        if name == "postgres":
            return Spec(name, postgres.command(self.home, self.ports[name]), os.environ, STOPS[name])
        argv = temporal.command(self.home, self.ports[name], self.ports["temporal_ui"], BEHIND[name])
        return Spec(name, argv, os.environ, STOPS[name])


def choose(settings: Settings) -> Parts:
    """Read what the caller has set; what is unset or empty is embedded."""
    home = settings.home.resolve()
    chosen = ports.pick(home, PORTS)
    has_openai = bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))
    parts = Parts(
        home=home,
        url=_url(settings),
        ports=chosen,
        env={**_said(), "PYTHONUNBUFFERED": "1", "HOLDFAST_HOME": str(home)},
        embeds_postgres=not os.environ.get("DATABASE_URL"),
        embeds_temporal=not any(os.environ.get(name) for name in TEMPORAL_CHOSEN),
        # It stands in for OpenAI's side only, and answers to the default model until another is named.
        embeds_model=not has_openai,
        # One machine, one user: what they try first is a server of their own.
        calls_loopback=settings.outbound_loopback or not os.environ.get("HOLDFAST_OUTBOUND_LOOPBACK"),
        model=settings.default_model if has_openai else _toy(settings),
    )
    parts.env.update(_addresses(parts))
    if not settings.secret.get_secret_value():
        parts.env["HOLDFAST_SECRET"] = files.secret(home)
    if not settings.secret_keys.get_secret_value():
        parts.env["HOLDFAST_SECRET_KEYS"] = files.secret_keys(home)
    return parts


def _toy(settings: Settings) -> str:
    if settings.has_anthropic:
        return f"a toy, but for claude-… (HOLDFAST_DEFAULT_MODEL is {settings.default_model})"
    return "a toy (OPENAI_API_KEY, OPENAI_BASE_URL or ANTHROPIC_API_KEY bring a real one)"


def _said() -> dict[str, str]:
    """An empty variable says nothing."""
    return {name: value for name, value in os.environ.items() if value}


def _addresses(parts: Parts) -> dict[str, str]:
    """Of what is embedded; Postgres's is known once its data directory is."""
    found: dict[str, str] = {}
    if parts.embeds_temporal:
        for name in [name for name in parts.env if name.startswith("TEMPORAL_")]:
            del parts.env[name]
        found |= temporal.environment(parts.ports["temporal"])
        found["TEMPORAL_UI_URL"] = f"http://127.0.0.1:{parts.ports['temporal_ui']}"
    if parts.embeds_model:
        found["OPENAI_BASE_URL"] = f"http://127.0.0.1:{parts.ports['model']}/v1"
        found["OPENAI_API_KEY"] = "demo"
    return found


def _url(settings: Settings) -> str:
    """Where a caller on this machine reaches the API."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
