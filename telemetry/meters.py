"""What is counted and measured of a process, for Prometheus; every name and label is here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from domain import mail, model, outgoing
from domain.calls import CODES
from domain.completion import EndReason
from domain.errors import BY_CODE
from domain.run import Lane, Place, Stop, Wait

if TYPE_CHECKING:
    from domain.completion import ModelRef, Usage
    from domain.delivery import DeliveryState, TargetKind, Tried
    from domain.plans import Plan
    from domain.run import RunKind, RunState
    from domain.task import Counted
    from domain.tools import Effect, Kind
    from domain.trigger_event import Reception
    from store.looks import Line

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_TURNS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_GROUPS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 4000)

_METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REASONS = frozenset({*BY_CODE, *get_args(Stop), *get_args(EndReason), "merged"})
_STATUS = re.compile(r"(HTTP|SMTP)_([1-9])\d\d$")
_OUTCOMES = frozenset(
    {
        *BY_CODE,
        *("answered", "handed_over", "stopped"),
        *CODES,
        *("delivered", "ABORTED"),
        *get_args(outgoing.Trouble),
        *get_args(mail.Trouble),
    }
)
_STATES: dict[str, RunState] = {"interrupted": "interrupted", "rolled_back": "rolled_back"}
OTHER = "other"
"""What callers can make up is one series, however much of it they make up."""


class Meters:
    """One process's metrics in a registry of their own. Times are seconds."""

    def __init__(self) -> None:
        # The time at which every series began would double their number.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = self._counter("http_requests", "Requests answered.", "method", "route", "status")
        self._request_seconds = self._histogram(
            "http_request_seconds",
            "Until an answer began; a JSON completion's wait is in it.",
            _TURNS,
            "route",
        )
        self._streams = self._gauge("streams_open", "Streams somebody listens to.", "route")
        self._accepted, self._events = self._of_what_comes()
        self._ended = self._counter(
            "runs_ended", "Runs ended by this process.", "kind", "lane", "state", "reason"
        )
        self._begin = self._histogram("run_begin_seconds", "From acceptance to begin.", _TURNS, "lane")
        self._first_token = self._histogram(
            "run_first_token_seconds", "From acceptance to each attempt's first token.", _TURNS, "lane"
        )
        self._answer = self._histogram(
            "run_answer_seconds", "From acceptance to the answer's commit.", _TURNS, "kind", "lane"
        )
        self._calls = self._counter("model_calls", "Calls of models.", "provider", "family", "outcome")
        self._tokens = self._counter(
            "model_tokens", "Tokens as providers count them.", "provider", "family", "direction"
        )
        self._model_first = self._histogram(
            "model_first_token_seconds", "From a model call to its first token.", _TURNS, "provider", "family"
        )
        self._tools, self._tool_seconds = self._of_tools()
        self._flush_seconds = self._histogram("log_flush_seconds", "A commit of the event log.", _QUICK)
        self._flush_events = self._histogram("log_flush_events", "Events of one commit.", _GROUPS)
        self._swept, self._due, self._overdue = self._of_what_is_due()
        self._deliveries, self._attempts, self._attempt_seconds, self._undelivered = self._of_deliveries()
        self._queue, self._oldest = self._of_the_queue()
        self._waits = self._gauge(
            "waits", "What runs that only wait are waiting for, of all processes.", "what"
        )
        self._queue_read = self._gauge(
            "queue_read", "1 if Postgres told of the queue at this scrape, else 0."
        )
        self._pool = self._gauge("postgres_connections_used", "Pooled connections in hand.", "pool")
        self._pool_size = self._gauge("postgres_connections_limit", "The most there can be.", "pool")
        self._lag = self._histogram("loop_lag_seconds", "How late the event loop wakes up.", _QUICK)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template, never a path."""
        self._requests.labels(method if method in _METHODS else OTHER, route, status).inc()
        self._request_seconds.labels(route).observe(seconds)

    def refused(self, status: int) -> None:
        """What the protocol answered by itself: it was no request of any method, and led nowhere."""
        self._requests.labels(OTHER, "none", status).inc()

    def streams(self, route: str, more: int) -> None:
        self._streams.labels(route).inc(more)

    def accepted(self, kind: RunKind, lane: Lane) -> None:
        self._accepted.labels(kind, lane).inc()

    def came(self, became: Reception) -> None:
        """What became of a request that was to set a trigger off."""
        self._events.labels(became).inc()

    def ended(self, run: Plan, state: RunState, reason: str) -> None:
        """`reason`: why a model stopped, an error's code, or who stopped it."""
        self._ended.labels(run.kind, run.lane, state, reason if reason in _REASONS else OTHER).inc()

    def gave_up(self, run: Plan, code: str) -> None:
        """Its plan, or whoever looked after that, ended the run with this code."""
        if code == "CANCELED":
            self.stopped(run, "canceled")
        else:
            self.ended(run, "failed", code)

    def stopped(self, run: Plan, reason: Stop) -> None:
        """Somebody ended the run."""
        self.ended(run, _STATES.get(reason, "canceled"), reason)

    def merged(self, run: Plan) -> None:
        """Another run answers for it."""
        self.ended(run, "merged", "merged")

    def begun(self, run: Plan, age: float, overdue: float | None = None) -> None:
        """`age`, here and below: seconds since the run's acceptance; `overdue`: since its task was due."""
        self._begin.labels(run.lane).observe(age)
        if overdue is not None:
            self._overdue.observe(overdue)

    def spoke(self, run: Plan, age: float) -> None:
        self._first_token.labels(run.lane).observe(age)

    def answered(self, run: Plan, age: float) -> None:
        self._answer.labels(run.kind, run.lane).observe(age)

    def model_spoke(self, ref: ModelRef, seconds: float) -> None:
        self._model_first.labels(ref.provider, model.family(ref.name)).observe(seconds)

    def model_called(self, ref: ModelRef, outcome: str, usage: Usage) -> None:
        """`outcome`: `answered`, an error's code, or `stopped` when its run was over before it."""
        family = model.family(ref.name)
        self._calls.labels(ref.provider, family, outcome).inc()
        self._tokens.labels(ref.provider, family, "input").inc(usage.input_tokens)
        self._tokens.labels(ref.provider, family, "output").inc(usage.output_tokens)

    def tool_called(self, kind: Kind, outcome: str, effect: Effect | None) -> None:
        """`outcome`: `answered`, `handed_over` to the caller, why it failed, or `stopped`."""
        self._tools.labels(kind, _outcome(outcome), effect or "none").inc()

    def tool_took(self, kind: Kind, seconds: float) -> None:
        self._tool_seconds.labels(kind).observe(seconds)

    def flushed(self, events: int, seconds: float) -> None:
        self._flush_events.observe(events)
        self._flush_seconds.observe(seconds)

    def fell_due(self, became: Mapping[Counted, int]) -> None:
        """What became of how many times that a task was due; those that ran are accepted runs."""
        for what, count in became.items():
            self._due.labels(what).inc(count)
            if what in ("ran", "healed"):
                self._accepted.labels("task_run", "scheduled").inc(count)

    def delivered(self, kind: TargetKind, became: Tried) -> None:
        self._deliveries.labels(kind, became).inc()

    def attempted(self, kind: TargetKind, outcome: str, seconds: float) -> None:
        """`outcome`: `delivered`, or why it failed."""
        self._attempts.labels(kind, _outcome(outcome)).inc()
        self._attempt_seconds.labels(kind).observe(seconds)

    def undelivered(self, counted: Mapping[DeliveryState, int] | None) -> None:
        """What Postgres tells of deliveries that have not arrived; None when it does not."""
        self._undelivered.clear()
        for state, deliveries in (counted or {}).items():
            self._undelivered.labels(state).set(deliveries)

    def swept(self, action: str, plans: int = 1) -> None:
        self._swept.labels(action).inc(plans)

    def lagged(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def pool(self, name: str, used: int, limit: int) -> None:
        self._pool.labels(name).set(used)
        self._pool_size.labels(name).set(limit)

    def queue(self, lines: Iterable[Line] | None) -> None:
        """What Postgres tells; None when it does not."""
        self._queue.clear()
        self._oldest.clear()
        self._queue_read.set(lines is not None)
        if lines is None:
            return
        found = {(line.place, line.lane): (line.runs, line.oldest) for line in lines}
        for place in product(get_args(Place), get_args(Lane)):
            runs, oldest = found.get(place, (0, 0))
            self._queue.labels(*place).set(runs)
            self._oldest.labels(*place).set(oldest)

    def waits(self, counted: Mapping[Wait, int] | None) -> None:
        """What Postgres tells of runs that only wait; None when it does not."""
        self._waits.clear()
        if counted is None:
            return
        for what in get_args(Wait):
            self._waits.labels(what).set(counted.get(what, 0))

    def text(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self._registry)

    def _of_what_comes(self) -> tuple[Counter, Counter]:
        return (
            self._counter("runs_accepted", "Runs made durable.", "kind", "lane"),
            self._counter("events", "Requests that brought events of triggers.", "became"),
        )

    def _of_tools(self) -> tuple[Counter, Histogram]:
        seconds = "From a call to its answer; of an ability, each attempt."
        return (
            self._counter("tool_calls", "Calls of tools.", "kind", "outcome", "effect"),
            self._histogram("tool_call_seconds", seconds, _TURNS, "kind"),
        )

    def _of_what_is_due(self) -> tuple[Counter, Counter, Histogram]:
        decided = "Times that tasks were due, as decided by this process."
        overdue = "From the time a task was due to its run's begin, but for backfills of days ago."
        return (
            self._counter("sweeper_plans", "Plans the sweeper acted on.", "action"),
            self._counter("occurrences", decided, "became"),
            self._histogram("run_due_seconds", overdue, _TURNS),
        )

    def _of_the_queue(self) -> tuple[Gauge, Gauge]:
        return (
            self._gauge("queue_runs", "Runs not ended, of all processes.", "place", "lane"),
            self._gauge("queue_oldest_seconds", "Age of the oldest of them.", "place", "lane"),
        )

    def _of_deliveries(self) -> tuple[Counter, Counter, Histogram, Gauge]:
        became = "What became of deliveries, by attempts of this process: of one that is retried, each time."
        states = "Deliveries that have not arrived, of all processes: on their way, or dead letters."
        return (
            self._counter("deliveries", became, "kind", "became"),
            self._counter("delivery_attempts", "Attempts to deliver.", "kind", "outcome"),
            self._histogram("delivery_attempt_seconds", "One attempt, until its answer.", _TURNS, "kind"),
            self._gauge("deliveries_left", states, "state"),
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}", what, labels, registry=self._registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"holdfast_{name}", what, labels, registry=self._registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"holdfast_{name}", what, labels, registry=self._registry, buckets=buckets)


def _outcome(outcome: str) -> str:
    """A status of another server is its first digit: there are few of these, whatever it makes up."""
    if status := _STATUS.match(outcome):
        return f"{status[1]}_{status[2]}xx"
    return outcome if outcome in _OUTCOMES else OTHER
