"""The house itself: its names on the wire, its sizes, its order."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import worker
from domain import (
    bot,
    calls,
    completion,
    conversation,
    delivery,
    events,
    ledger,
    mail,
    outgoing,
    run,
    signatures,
    verification,
)
from domain.errors import BY_CODE
from settings import Settings
from telemetry.meters import Meters
from tests.house import ROOT
from tests.http import Api, text_of

ROOMS = ("api", "workflows", "activities", "store", "domain")
BESIDE = ("deploy", "bench", "telemetry")
_CODE = re.compile(r"'([A-Z][A-Z_]{4,})'")
README = ROOT / "README.md"
PAGES = sorted(
    page.relative_to(ROOT)
    for where in ("*.md", "docs/**/*.md", "deploy/*.md", "bench/**/*.md")
    for page in ROOT.glob(where)
)
OURS = [ROOT / name for name in (*ROOMS, *BESIDE, "tests")]
LOOSE = [ROOT / f"{name}.py" for name in ("worker", "starter", "schedules", "sweeper", "settings")]


def sources(*folders: Path) -> list[Path]:
    """The Python files of some folders, those that say something."""
    found = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return [file for file in found if file.read_text().strip()]


EVERYTHING = [*sources(*OURS), *LOOSE]
PRODUCT = [*sources(*(ROOT / name for name in (*ROOMS, *BESIDE))), *LOOSE]
SERVED = [*sources(*(ROOT / name for name in (*ROOMS, "telemetry"))), *LOOSE]


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def trees() -> Iterator[tuple[str, ast.Module]]:
    for file in EVERYTHING:
        yield named(file), ast.parse(file.read_text())


# Names on the wire are for ever: whoever changes one of these lists changes what clients, operators and
# running workflows rely on.


def test_the_workflow_types_are_these() -> None:
    types = {vars(plan)["__temporal_workflow_definition"].name for plan in worker.WORKFLOWS}

    assert types == {
        *("ability", "completion", "delivery", "task_run", "trigger_event", "turn", "upkeep"),
    }
    assert {*get_args(run.RunKind)} <= types


def test_the_activity_names_are_these() -> None:
    given = {
        name
        for file in sources(ROOT / "activities")
        for name in re.findall(r'@activity\.defn\(name="([^"]+)"\)', file.read_text())
    }

    assert given == {
        *("turn.finish", "model.reply", "tool.call", "wait.look"),
        *("task.place", "task.cut", "task.ended", "upkeep.tidy", "upkeep.expire", "upkeep.watch"),
        "delivery.attempt",
    }


def test_the_event_types_are_these() -> None:
    made = {
        *re.findall(r'Event\(\s*"(\w+)"', (ROOT / "domain/events.py").read_text()),
        *re.findall(r'"(\w+)" if reasoning else "(\w+)"', (ROOT / "domain/events.py").read_text())[0],
        "completeBegin",
        "completeEnd",
    }

    assert {
        "token",
        "reasoningToken",
        "message",
        "usage",
        "completeBegin",
        "completeEnd",
        "waitForChannelMessageBegin",
        "waitForChannelMessageEnd",
        "abort",
        "error",
        "result",
    } == events.TYPED
    assert made - events.TYPED == {
        "sendResult",
        "receiveResult",
        "published",
        "operationBegin",
        "operationEnd",
        "merged",
    }


def test_the_error_codes_are_these() -> None:
    assert {*BY_CODE} == {
        "BAD_ARGUMENTS",
        "BAD_REQUEST",
        "CONFLICT",
        "CONTENT_TOO_LARGE",
        "CONVERSATION_TOO_LONG",
        "ERROR",
        "INTERNAL_SERVER_ERROR",
        "LIMITS_REACHED",
        "METHOD_NOT_ALLOWED",
        "MODEL_BROKEN",
        "MODEL_BUSY",
        "MODEL_ERROR",
        "MODEL_REFUSED",
        "MODEL_UNAVAILABLE",
        "NOT_AUTHENTICATED",
        "NOT_AUTHORIZED",
        "NOT_FOUND",
        "NOT_IMPLEMENTED",
        "PLAN_FAILED",
        "PLAN_LOST",
        "SECRET_UNUSABLE",
        "WORKER_LOST",
        "SERVICE_UNAVAILABLE",
        "STALE",
        "TIMEOUT",
        "TOOL_BLOCKED",
        "TOOL_ERROR",
        "TOOL_UNAVAILABLE",
        "UNSUPPORTED_MEDIA_TYPE",
    }


def test_the_codes_of_calls_are_these() -> None:
    assert {
        "ABANDONED",
        "CALLS_LIMIT",
        "FUNCTION_FAILED",
        "NO_MESSAGE_RECEIVED",
        "OUTCOME_UNKNOWN",
        "TOOL_FAILED",
    } == calls.CODES
    assert calls.http(503) == "HTTP_503"
    assert not calls.CODES & {*BY_CODE}
    written = {code for file in (ROOT / "store").glob("*.sql") for code in _CODE.findall(file.read_text())}
    assert written - {*BY_CODE} <= calls.CODES | delivery.CODES


def test_the_codes_of_deliveries_are_these() -> None:
    assert {
        "ABORTED",
        "DELETED",
        "EXHAUSTED",
        "OUTCOME_UNKNOWN",
        "TARGET_DISABLED",
        "TARGET_GONE",
        "TARGET_REMOVED",
    } == delivery.CODES
    assert get_args(delivery.DeliveryState) == ("pending", "delivered", "dead")
    assert get_args(delivery.Tried) == ("delivered", "retried", "dead")


def test_the_codes_of_what_goes_out_are_these() -> None:
    assert get_args(outgoing.Trouble) == (
        *("BLOCKED", "NO_NAME", "UNREACHABLE", "TLS_FAILED", "CONNECT_TIMEOUT", "ANSWER_TIMEOUT"),
        *("CONNECTION_LOST", "NOT_HTTP", "CUT"),
    )
    assert get_args(mail.Trouble) == (
        *("NO_SERVER", "NO_NAME", "UNREACHABLE", "TLS_FAILED", "LOGIN_FAILED", "CONNECT_TIMEOUT"),
        *("ANSWER_TIMEOUT", "CONNECTION_LOST", "NOT_SMTP"),
    )
    assert get_args(mail.Outcome) == ("delivered", "refused", "again", "unknown")
    assert mail.smtp(550) == "SMTP_550"
    assert not {*get_args(outgoing.Trouble), *get_args(mail.Trouble)} & {*BY_CODE}


def test_the_words_for_states_lanes_and_policies_are_these() -> None:
    assert get_args(run.RunState) == (
        *("queued", "running", "succeeded", "failed"),
        *("canceled", "interrupted", "rolled_back", "merged"),
    )
    assert get_args(run.Lane) == ("interactive", "background", "scheduled")
    assert get_args(conversation.OnBusy) == ("reject", "enqueue", "interrupt", "rollback", "steer")
    assert get_args(bot.OnBudget) == ("wait", "end")
    assert get_args(ledger.Fate) == (
        *("expected", "due", "ran", "late"),
        *("skipped", "missed", "paused", "excluded"),
    )
    assert get_args(ledger.Reason) == ("overlap", "limit")
    assert get_args(ledger.When) == ("past", "next")


def test_the_providers_are_these() -> None:
    assert get_args(completion.ProviderName) == ("openai", "anthropic")


def test_the_ways_to_sign_an_event_are_these() -> None:
    assert get_args(verification.Preset) == (
        *("standard-webhooks", "github", "stripe"),
        *("slack", "shopify", "hmac"),
    )
    assert get_args(signatures.Algorithm) == ("sha256", "sha1", "sha512")
    assert get_args(signatures.Encoding) == ("hex", "base64")


def variables() -> dict[str, Any]:
    """Every setting by its variable, with its default."""
    found: dict[str, Any] = {}
    for field in Settings.model_fields.values():
        assert isinstance(field.validation_alias, str)
        found[field.validation_alias] = field.default
    return found


def test_the_settings_are_these() -> None:
    assert {*variables()} == {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "DATABASE_URL",
        "HOLDFAST_ACTIVE_BACKGROUND_RUNS",
        "HOLDFAST_ACTIVE_RUNS",
        "HOLDFAST_ACTIVE_RUNS_PER_ACCOUNT",
        "HOLDFAST_ANSWER_SECONDS",
        "HOLDFAST_AUDIT_DAYS",
        "HOLDFAST_BODY_BYTES",
        "HOLDFAST_BODY_SECONDS",
        "HOLDFAST_CONNECTIONS",
        "HOLDFAST_DEFAULT_MODEL",
        "HOLDFAST_DELIVERY_DAYS",
        "HOLDFAST_DELIVERY_PAUSES",
        "HOLDFAST_DELIVERY_SCHEDULE",
        "HOLDFAST_EVENT_DAYS",
        "HOLDFAST_HEADER_BYTES",
        "HOLDFAST_HOME",
        "HOLDFAST_HOST",
        "HOLDFAST_IDLE_SECONDS",
        "HOLDFAST_KEY_PERCENT",
        "HOLDFAST_LOG_FORMAT",
        "HOLDFAST_LOG_LEVEL",
        "HOLDFAST_METRICS_HOST",
        "HOLDFAST_METRICS_PORT",
        "HOLDFAST_MODEL_IDLE_SECONDS",
        "HOLDFAST_MODEL_OUTPUT_BYTES",
        "HOLDFAST_OUTBOUND_LOOPBACK",
        "HOLDFAST_PORT",
        "HOLDFAST_READS_PER_MINUTE",
        "HOLDFAST_RECEIVE_SECONDS",
        "HOLDFAST_RETENTION_DAYS",
        "HOLDFAST_SECRET",
        "HOLDFAST_SECRET_KEYS",
        "HOLDFAST_SEND_SECONDS",
        "HOLDFAST_SHORTEST_PERIOD_MS",
        "HOLDFAST_SMTP_FROM",
        "HOLDFAST_SMTP_HOST",
        "HOLDFAST_SMTP_PASSWORD",
        "HOLDFAST_SMTP_PORT",
        "HOLDFAST_SMTP_TLS",
        "HOLDFAST_SMTP_USERNAME",
        "HOLDFAST_STARTS_PER_MINUTE",
        "HOLDFAST_SUBSCRIBERS",
        "HOLDFAST_SUBSCRIBERS_PER_ACCOUNT",
        "HOLDFAST_TASK_QUEUE",
        "HOLDFAST_TOKENS_PER_DAY",
        "HOLDFAST_TRUSTED_PROXIES",
        "HOLDFAST_TRANSCRIPT_BYTES",
        "HOLDFAST_WAIT_SECONDS",
        "HOLDFAST_WAITING_RUNS_PER_ACCOUNT",
        "HOLDFAST_WAITING_RUNS_PER_CONVERSATION",
        "HOLDFAST_WRITES_PER_MINUTE",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "TEMPORAL_UI_URL",
    }


def test_the_metrics_are_these() -> None:
    told = re.findall(r"^# TYPE holdfast_(\w+) (\w+)$", Meters().text().decode(), re.MULTILINE)

    assert {name for name, kind in told if kind == "counter"} == {
        "deliveries_total",
        "delivery_attempts_total",
        "events_total",
        "http_requests_total",
        "model_calls_total",
        "model_tokens_total",
        "occurrences_total",
        "runs_accepted_total",
        "runs_ended_total",
        "sweeper_plans_total",
        "tool_calls_total",
    }
    assert {name for name, kind in told if kind == "gauge"} == {
        "deliveries_left",
        "postgres_connections_limit",
        "postgres_connections_used",
        "queue_oldest_seconds",
        "queue_read",
        "queue_runs",
        "streams_open",
        "waits",
    }
    assert {name for name, kind in told if kind == "histogram"} == {
        "delivery_attempt_seconds",
        "http_request_seconds",
        "log_flush_events",
        "log_flush_seconds",
        "loop_lag_seconds",
        "model_first_token_seconds",
        "run_answer_seconds",
        "run_begin_seconds",
        "run_due_seconds",
        "run_first_token_seconds",
        "tool_call_seconds",
    }


def test_the_example_environment_is_every_setting_with_its_default() -> None:
    lines = re.findall(r"^(#?)([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    told = {name: value for off, name, value in lines if not off}
    unset = {name for off, name, _ in lines if off}

    assert {name for name in [*told, *unset] if not name.startswith("TEMPORAL_")} | {"TEMPORAL_UI_URL"} == {
        *variables()
    }
    for name, value in told.items():
        assert value == str(variables()[name]), name
    assert len(lines) == len({name for _, name, _ in lines})


def test_settings_is_the_only_reader_of_the_environment() -> None:
    readers = [named(file) for file in SERVED if re.search(r"\benviron\b|getenv\(", file.read_text())]

    assert readers == []


# Sizes.


def test_no_function_is_longer_than_60_lines_and_no_file_than_400() -> None:
    long = []
    for file in PRODUCT:
        text = file.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= 60:
                    long.append(f"{named(file)}: {node.name}")
        if text.count("\n") > 400:
            long.append(named(file))

    assert long == []


def test_most_files_and_functions_are_small() -> None:
    files = sorted(file.read_text().count("\n") for file in PRODUCT)
    functions = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for file in PRODUCT
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )

    assert files[len(files) // 2] <= 100
    assert functions[len(functions) * 9 // 10] <= 25


# Order.


def test_every_file_says_in_one_sentence_what_it_is_for() -> None:
    wrong = []
    for name, tree in trees():
        first = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
        sentences = [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", first) if part]
        if len(sentences) != 1 or first[-1] not in ".?":
            wrong.append(f"{name}: {first}")

    assert wrong == []


def test_no_room_is_a_lumber_room() -> None:
    forbidden = {"utils", "common", "core", "lib", "helpers", "services", "models"}
    folders = {part for file in EVERYTHING for part in file.relative_to(ROOT).parent.parts}

    assert not folders & forbidden


def test_the_tests_mirror_the_house() -> None:
    beside = {"guide", "crash", "replay", "wire", "browser"}
    rooms = {file.relative_to(ROOT / "tests").parts[0] for file in (ROOT / "tests").glob("*/*.py")}

    assert rooms - beside <= {*ROOMS, *BESIDE}
    assert {*ROOMS, "deploy", "guide", "crash", "replay", "wire"} <= rooms


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    told = subprocess.run([str(lint)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout
    assert "0 broken" in told.stdout


def test_no_test_is_skipped_mocked_or_waits_by_the_clock() -> None:
    wrong = []
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            said = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Import | ast.ImportFrom) else ""
            if re.search(r"mark\.(skip|xfail)|^pytest\.skip$|\bmock\b", said):
                wrong.append(f"{named(file)}: {said}")
            # Less than a tenth of a second paces what a test does; it is no waiting for somebody else.
            if file.name.startswith("test_") and isinstance(node, ast.Call):
                said = ast.unparse(node)
                if re.match(r"(asyncio|time)\.sleep\((?!0(\.0\d*)?\))", said):
                    wrong.append(f"{named(file)}: {said}")

    assert wrong == []


def test_every_exception_from_a_check_names_what_it_excepts() -> None:
    wrong = [
        f"{named(file)}: {line.strip()}"
        for file in EVERYTHING
        for line in file.read_text().splitlines()
        if re.search(r"# noqa(?!: [A-Z]+\d)|# type: ignore(?!\[)", line) and file != Path(__file__)
    ]

    assert wrong == []


def test_the_locks_name_packages_and_hashes_and_no_address() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
        assert re.findall(r"^[a-z].*==.*[^\\]$", text, re.MULTILINE) == []


# What the README says is so.


def readme() -> str:
    return README.read_text() if README.exists() else ""


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = (ROOT / page).read_text()
    links = {(ROOT / page).parent / link for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)}
    tests = {ROOT / test for test in re.findall(r"`(tests/[\w/]+\.py)`", text)}

    assert [name for name in links | tests if not name.exists()] == []


def test_the_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {*re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)}

    assert {*re.findall(r"(?:^|`)make ([a-z-]+)", readme(), re.MULTILINE)} <= targets
    assert {"up", "test", "test-fast", "check", "bench", "schema", "lock", "fmt"} <= targets
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert targets <= {*phony[1].split()}


async def test_the_first_call_of_the_readme_streams_an_answer(api: Api) -> None:
    for path, headers, body in re.findall(
        r'curl -N "\$HOLDFAST_URL(\S+)" \\\n((?:\s+-H .*\n)+)\s+-d \'(.*)\'', readme()
    ):
        sent = dict(pair.split(": ", 1) for pair in re.findall(r'-H "([^"]+)"', headers))
        sent.pop("Authorization")

        events_ = await api.stream(path, json.loads(body), **sent)

        assert events_[-1]["type"] == "result"
        assert text_of(events_) == events_[-1]["data"]["text"]


@pytest.mark.parametrize("name", ["LICENSE", "Makefile", ".env.example", ".ci/run", "deploy/Dockerfile"])
def test_what_a_clone_needs_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0
