"""The only reader of the environment: one frozen Settings."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.attempt import PAUSES, SCHEDULE, Pace, seconds
from domain.mail import Encryption, Server, read_sender
from domain.schedule import SHORTEST
from domain.secret import keys

OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"


class Settings(BaseSettings):
    """Every setting, its default and its unit; `.env.example` lists the same (a test keeps them equal).

    Temporal's own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*,
    TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE) are read by its SDK, not here. So are OpenTelemetry's (OTEL_*).
    """

    # Who sets one wrongly is told which and why, and not what: keys and passwords are among them.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    database_url: str = Field("postgresql://localhost/holdfast", validation_alias="DATABASE_URL")
    """Postgres ≥ 15, reached directly: a transaction pooler loses LISTEN and session settings."""

    host: str = Field("127.0.0.1", validation_alias="HOLDFAST_HOST")
    port: int = Field(8080, validation_alias="HOLDFAST_PORT", ge=0, le=65535)
    home: Path = Field(Path(".local"), validation_alias="HOLDFAST_HOME")
    """Where `make up` keeps the embedded parts and their state."""

    secret: SecretStr = Field(SecretStr(""), validation_alias="HOLDFAST_SECRET")
    """For fingerprints of calls and signatures of tokens: 32 random bytes or more, the same everywhere."""
    secret_keys: SecretStr = Field(SecretStr(""), validation_alias="HOLDFAST_SECRET_KEYS")
    """Seal the values of secrets: base64 of 32 random bytes each, with commas between them, the newest first.
    The first seals, all of them open; the same everywhere."""

    openai_api_key: SecretStr = Field(SecretStr(""), validation_alias="OPENAI_API_KEY")
    openai_base_url: str = Field(OPENAI_URL, validation_alias="OPENAI_BASE_URL")
    """Any server that speaks OpenAI chat completions; the path up to, without, `/chat/completions`."""
    anthropic_api_key: SecretStr = Field(SecretStr(""), validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str = Field(ANTHROPIC_URL, validation_alias="ANTHROPIC_BASE_URL")
    """Any server that speaks Anthropic's messages; the path up to, without, `/v1/messages`."""
    default_model: str = Field("gpt-5-mini", validation_alias="HOLDFAST_DEFAULT_MODEL", min_length=1)
    """The model of calls whose bot and conversation name none."""
    model_idle_seconds: float = Field(60, validation_alias="HOLDFAST_MODEL_IDLE_SECONDS", gt=0)
    """A model stream silent for longer is cut and the call retried."""
    model_output_bytes: int = Field(1_048_576, validation_alias="HOLDFAST_MODEL_OUTPUT_BYTES", gt=0)
    """An answer longer than this is cut there and ends with `length`."""
    transcript_bytes: int = Field(16_777_216, validation_alias="HOLDFAST_TRANSCRIPT_BYTES", gt=0)
    """A turn of a conversation whose messages are longer in all fails with CONVERSATION_TOO_LONG."""
    wait_seconds: int = Field(300, validation_alias="HOLDFAST_WAIT_SECONDS", gt=0, le=2_592_000)
    """How long a call of a function waits for a publish on its channel, where the function does not say."""

    outbound_loopback: bool = Field(False, validation_alias="HOLDFAST_OUTBOUND_LOOPBACK")
    """Abilities and webhooks may call addresses of the machine that the worker runs on; private networks stay
    closed. The same everywhere: the API takes no webhook that no worker would call."""

    smtp_host: str = Field("", validation_alias="HOLDFAST_SMTP_HOST", pattern=r"^[A-Za-z0-9.:_-]*$")
    """The server that takes our e-mails; without one there are none."""
    smtp_port: int = Field(587, validation_alias="HOLDFAST_SMTP_PORT", gt=0, le=65535)
    smtp_tls: Encryption = Field("starttls", validation_alias="HOLDFAST_SMTP_TLS")
    """`tls` is from the first byte on, mostly at port 465; neither goes on where there is no trusted TLS."""
    smtp_username: str = Field("", validation_alias="HOLDFAST_SMTP_USERNAME")
    """Without one there is no login."""
    smtp_password: SecretStr = Field(SecretStr(""), validation_alias="HOLDFAST_SMTP_PASSWORD")
    smtp_from: str = Field("", validation_alias="HOLDFAST_SMTP_FROM")
    """Who the e-mails are from: an address, or `Name <name@example.com>`. Their ids are in its domain."""

    delivery_schedule: str = Field(SCHEDULE, validation_alias="HOLDFAST_DELIVERY_SCHEDULE")
    """Seconds before each attempt to deliver a result, with commas between them, a fifth more or less by
    chance; after the last one it is a dead letter."""
    delivery_pauses: str = Field(PAUSES, validation_alias="HOLDFAST_DELIVERY_PAUSES")
    """Seconds that a target is left alone for after five failures one after another, and after each one more;
    the last goes on. Its deliveries wait."""
    delivery_days: int = Field(30, validation_alias="HOLDFAST_DELIVERY_DAYS", gt=0, le=36_500)
    """Days that a delivery is kept after it has arrived; one that has not is kept."""

    body_bytes: int = Field(4_194_304, validation_alias="HOLDFAST_BODY_BYTES", gt=0)
    """The largest request body."""
    header_bytes: int = Field(16_384, validation_alias="HOLDFAST_HEADER_BYTES", gt=0)
    """The largest request line and headers together."""
    receive_seconds: float = Field(8, validation_alias="HOLDFAST_RECEIVE_SECONDS", gt=0)
    """How long a client may take over a request's headers, or send nothing of its body."""
    body_seconds: float = Field(60, validation_alias="HOLDFAST_BODY_SECONDS", gt=0)
    """How long a client may take over a request's body in all."""
    send_seconds: float = Field(30, validation_alias="HOLDFAST_SEND_SECONDS", gt=0)
    """A client that reads nothing for longer, while there is something to read, is dropped."""
    idle_seconds: float = Field(75, validation_alias="HOLDFAST_IDLE_SECONDS", gt=0)
    """How long a connection may wait for its next request."""
    connections: int = Field(2_048, validation_alias="HOLDFAST_CONNECTIONS", gt=0)
    """Connections of one API process; those beyond are answered 503."""
    trusted_proxies: str = Field("", validation_alias="HOLDFAST_TRUSTED_PROXIES")
    """Addresses or networks, with commas between them, whose X-Forwarded-For says who calls."""
    answer_seconds: float = Field(280, validation_alias="HOLDFAST_ANSWER_SECONDS", gt=0, lt=300)
    """A JSON caller is answered 408 with the run's id after this; the run goes on."""

    active_runs: int = Field(500, validation_alias="HOLDFAST_ACTIVE_RUNS", gt=0)
    """Runs at work at once; more wait as rows."""
    active_runs_per_account: int = Field(250, validation_alias="HOLDFAST_ACTIVE_RUNS_PER_ACCOUNT", gt=0)
    active_background_runs: int = Field(64, validation_alias="HOLDFAST_ACTIVE_BACKGROUND_RUNS", gt=0)

    starts_per_minute: int = Field(6_000, validation_alias="HOLDFAST_STARTS_PER_MINUTE", ge=0)
    """Calls of an account that start work, per API process; 0 is no limit, here and below."""
    writes_per_minute: int = Field(12_000, validation_alias="HOLDFAST_WRITES_PER_MINUTE", ge=0)
    reads_per_minute: int = Field(30_000, validation_alias="HOLDFAST_READS_PER_MINUTE", ge=0)
    key_percent: int = Field(50, validation_alias="HOLDFAST_KEY_PERCENT", gt=0, le=100)
    """How much of these three one key of the account may have, or one session."""
    subscribers: int = Field(1_500, validation_alias="HOLDFAST_SUBSCRIBERS", ge=0)
    """Streams that an API process holds open at once; each is one of its connections."""
    subscribers_per_account: int = Field(1_200, validation_alias="HOLDFAST_SUBSCRIBERS_PER_ACCOUNT", ge=0)
    tokens_per_day: int = Field(0, validation_alias="HOLDFAST_TOKENS_PER_DAY", ge=0)
    """Tokens of an account in a day of UTC, in and out; what was accepted before is brought to its end."""
    waiting_runs_per_account: int = Field(10_000, validation_alias="HOLDFAST_WAITING_RUNS_PER_ACCOUNT", ge=0)
    """Accepted runs that wait their turn as rows."""
    waiting_runs_per_conversation: int = Field(
        1_000, validation_alias="HOLDFAST_WAITING_RUNS_PER_CONVERSATION", ge=0
    )

    shortest_period_ms: int = Field(SHORTEST, validation_alias="HOLDFAST_SHORTEST_PERIOD_MS", gt=0)
    """Milliseconds between two runs of a task's schedule; only tests lower it."""

    audit_days: int = Field(365, validation_alias="HOLDFAST_AUDIT_DAYS", gt=0)
    """Days that an entry of the audit log is kept."""
    retention_days: int = Field(0, validation_alias="HOLDFAST_RETENTION_DAYS", ge=0, le=36_500)
    """Days without a new message or a change after which a conversation is removed; 0: it is kept."""
    event_days: int = Field(30, validation_alias="HOLDFAST_EVENT_DAYS", gt=0, le=3_650)
    """Days that what came with a trigger's event is kept; its run and conversation are kept as all others."""

    temporal_ui_url: str = Field("", validation_alias="TEMPORAL_UI_URL")
    """Where operators open Temporal's web UI; run/fetch links into it."""
    task_queue: str = Field("holdfast", validation_alias="HOLDFAST_TASK_QUEUE", min_length=1)
    log_level: str = Field(
        "INFO", validation_alias="HOLDFAST_LOG_LEVEL", pattern="^(DEBUG|INFO|WARNING|ERROR)$"
    )
    log_format: Literal["text", "json"] = Field("text", validation_alias="HOLDFAST_LOG_FORMAT")
    """`text` for people, `json` for whatever collects logs: one object a line."""

    metrics_host: str = Field("127.0.0.1", validation_alias="HOLDFAST_METRICS_HOST", min_length=1)
    """Where `/metrics` is served, apart from the API: it has no key."""
    metrics_port: int = Field(0, validation_alias="HOLDFAST_METRICS_PORT", ge=0, le=65535)
    """0 serves none. Processes that share an address need a port each."""

    otlp_endpoint: str = Field("", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """An OTLP/HTTP collector; traces are made if this or the next is set. OpenTelemetry's SDK reads both, and
    its other variables, itself."""
    otlp_traces_endpoint: str = Field("", validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    """The same for traces only, with its whole path."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: str) -> str:
        for part in given.split(",") if given else ():
            ip_network(part.strip())
        return given

    @field_validator("delivery_schedule", "delivery_pauses")
    @classmethod
    def _are_seconds(cls, given: str) -> str:
        seconds(given)
        return given

    @field_validator("secret_keys")
    @classmethod
    def _are_keys(cls, given: SecretStr) -> SecretStr:
        keys(given.get_secret_value())
        return given

    @model_validator(mode="after")
    def _has_sender(self) -> Self:
        if self.smtp_host or self.smtp_from:
            try:
                read_sender(self.smtp_from)
            except ValueError as error:
                raise ValueError(f"HOLDFAST_SMTP_FROM: {error}") from None
        return self

    @property
    def smtp(self) -> Server | None:
        """Who takes our e-mails, if anybody does."""
        if not self.smtp_host:
            return None
        return Server(
            host=self.smtp_host,
            port=self.smtp_port,
            encryption=self.smtp_tls,
            username=self.smtp_username,
            password=self.smtp_password,
            sender=read_sender(self.smtp_from),
        )

    @property
    def delivery_pace(self) -> Pace:
        return Pace(schedule=seconds(self.delivery_schedule), pauses=seconds(self.delivery_pauses))

    @property
    def sealing_keys(self) -> tuple[bytes, ...]:
        """Of secrets, newest first."""
        return keys(self.secret_keys.get_secret_value())

    @property
    def has_openai(self) -> bool:
        """A key, or a server of one's own, which may need none."""
        return bool(self.openai_api_key.get_secret_value()) or self.openai_base_url.rstrip("/") != OPENAI_URL

    @property
    def has_anthropic(self) -> bool:
        named = self.anthropic_base_url.rstrip("/") != ANTHROPIC_URL
        return bool(self.anthropic_api_key.get_secret_value()) or named


def load() -> Settings:
    return Settings()
