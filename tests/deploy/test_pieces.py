"""The pieces of the local engine, one by one."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy import home as files
from deploy import leavings, parts, ports, tether
from settings import Settings
from tests.deploy.platform import OURS, ROOT, until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def sleeper() -> subprocess.Popen[bytes]:
    """A process that has become its command: for a moment after the fork's end the kernel shows none."""
    process = subprocess.Popen(SLEEP)
    until(lambda: psutil.Process(process.pid).cmdline(), 5)
    return process


def test_a_leftover_is_stopped_by_the_next_start(tmp_path: Path) -> None:
    left = sleeper()
    leavings.remember(tmp_path, "worker", SLEEP, left.pid)
    assert leavings.stop_all(tmp_path, {}) == ["worker"]
    assert left.poll() is not None
    assert leavings.stop_all(tmp_path, {}) == []


def test_a_process_that_only_got_a_leftovers_number_is_not_touched(tmp_path: Path) -> None:
    stranger = sleeper()
    try:
        leavings.remember(tmp_path, "worker", [sys.executable, "worker.py"], stranger.pid)
        assert leavings.stop_all(tmp_path, {}) == []
        note = {"pid": stranger.pid, "born": psutil.Process(stranger.pid).create_time() - 60, "argv": SLEEP}
        (tmp_path / "run" / "worker.json").write_text(json.dumps(note))
        assert leavings.stop_all(tmp_path, {}) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_tethered_process_ends_with_its_parent(tmp_path: Path) -> None:
    """On Linux; elsewhere the next start stops it."""
    if sys.platform != "linux":
        return
    words = (
        "import signal, subprocess, time; from deploy import tether\n"
        f"print(subprocess.Popen(tether.command(signal.SIGTERM, {SLEEP!r})).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", words], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: child.cmdline() == SLEEP)
        parent.kill()
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_tether_whose_parent_is_already_gone_starts_nothing() -> None:
    argv = tether.command(signal.SIGTERM, SLEEP)
    argv[4] = str(os.getppid())
    if sys.platform == "linux":
        assert subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 1


def test_the_worker_and_temporal_stand_back_where_processors_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their sessions, too, where the system shares the processors among those."""
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    chosen = parts.choose(Settings())
    specs = {"api": chosen.spec("api", "-m", "api"), "worker": chosen.spec("worker", "worker.py")}
    specs |= {name: chosen.engine(name) for name in ("postgres", "temporal")}
    found = {name: spec.argv[7] for name, spec in specs.items()}
    assert found == {"api": "0", "postgres": "0", "worker": "10", "temporal": "10"}
    argv = tether.command(signal.SIGTERM, SLEEP, nice=5)
    with subprocess.Popen(argv, start_new_session=True) as process:
        try:
            until(lambda: psutil.Process(process.pid).cmdline() == SLEEP)
            assert psutil.Process(process.pid).nice() == os.nice(0) + 5
            group = Path(f"/proc/{process.pid}/autogroup")
            assert not group.exists() or group.read_text().endswith("nice 5\n")
        finally:
            process.kill()


def test_ports_are_remembered_until_somebody_takes_one(tmp_path: Path) -> None:
    first = ports.pick(tmp_path, ("postgres", "temporal"))
    assert ports.pick(tmp_path, ("postgres", "temporal")) == first
    with socket.create_server(("127.0.0.1", first["postgres"])):
        second = ports.pick(tmp_path, ("postgres", "temporal"))
    assert second["postgres"] != first["postgres"]
    assert second["temporal"] == first["temporal"]


def test_a_home_has_one_holder(tmp_path: Path) -> None:
    first, second = files.Lock(tmp_path), files.Lock(tmp_path)
    assert first.take()
    assert not second.take()
    assert second.read()["stopping"], "who has not said anything yet is worth waiting for"
    first.write("http://127.0.0.1:8080")
    assert second.read() == {"pid": os.getpid(), "url": "http://127.0.0.1:8080", "stopping": False}


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    made = files.secret(tmp_path)
    assert len(bytes.fromhex(made)) == 32
    assert files.secret(tmp_path) == made
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_the_key_of_secrets_is_made_once_and_kept_until_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    monkeypatch.delenv("HOLDFAST_SECRET_KEYS", raising=False)
    made = parts.choose(Settings()).env["HOLDFAST_SECRET_KEYS"]
    again = parts.choose(Settings()).env["HOLDFAST_SECRET_KEYS"]
    own = base64.b64encode(bytes(32)).decode()
    monkeypatch.setenv("HOLDFAST_SECRET_KEYS", own)

    assert len(base64.b64decode(made, validate=True)) == 32
    assert made == again == files.secret_keys(tmp_path)
    assert (tmp_path / "secret_keys").stat().st_mode & 0o777 == 0o600
    assert parts.choose(Settings()).env["HOLDFAST_SECRET_KEYS"] == own


def test_the_example_lists_every_setting_with_its_default() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line]
    listed = dict(line.removeprefix("#").split("=", 1) for line in lines if not line.startswith("# "))
    for field in Settings.model_fields.values():
        name = str(field.validation_alias)
        default = getattr(field.default, "get_secret_value", lambda value=field.default: value)()
        assert listed[name] == str(default), name


@pytest.mark.parametrize(
    ("given", "toy", "said"),
    [
        ({}, True, "a toy (OPENAI_API_KEY, OPENAI_BASE_URL or ANTHROPIC_API_KEY bring a real one)"),
        ({"ANTHROPIC_API_KEY": "k"}, True, "a toy, but for claude-… (HOLDFAST_DEFAULT_MODEL is gpt-5-mini)"),
        (
            {"ANTHROPIC_API_KEY": "k", "HOLDFAST_DEFAULT_MODEL": "claude-haiku-5-5"},
            True,
            "a toy, but for claude-… (HOLDFAST_DEFAULT_MODEL is claude-haiku-5-5)",
        ),
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, False, "gpt-5-mini"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, False, "gpt-5-mini"),
    ],
)
def test_the_toy_stands_in_for_openai_until_that_is_set_up_and_the_welcome_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], toy: bool, said: str
) -> None:
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, value in {**given, "HOLDFAST_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)

    chosen = parts.choose(Settings())

    assert (chosen.embeds_model, chosen.model) == (toy, said)
    assert chosen.env.get("ANTHROPIC_API_KEY") == given.get("ANTHROPIC_API_KEY")
    assert (chosen.env.get("OPENAI_API_KEY") == "demo") is toy


@pytest.mark.parametrize(("given", "told"), [("", "True"), ("true", "True"), ("false", "False")])
def test_abilities_of_the_embedded_worker_may_call_this_machine_unless_it_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, told: str
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    monkeypatch.setenv("HOLDFAST_OUTBOUND_LOOPBACK", given)

    chosen = parts.choose(Settings())

    for name in ("worker", "api"):
        assert chosen.spec(name, f"{name}.py").env["HOLDFAST_OUTBOUND_LOOPBACK"] == told
    assert chosen.calls_loopback is (told == "True")
    assert Settings.model_fields["outbound_loopback"].default is False
