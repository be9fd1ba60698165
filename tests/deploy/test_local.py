"""`make up`, as its user meets it: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.deploy.platform import PARTS, Platform, free_port, until

pytestmark = pytest.mark.slow

HELLO = {"messages": [{"type": "user", "text": "Hello"}]}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    yield from _running(tmp_path_factory.mktemp("local") / "home")


@pytest.fixture
def own_platform(tmp_path: Path) -> Iterator[Platform]:
    """For tests that stop it."""
    yield from _running(tmp_path / "home")


def _running(home: Path) -> Iterator[Platform]:
    made = Platform(home, free_port())
    try:
        made.up()
        yield made
    finally:
        sys.stdout.write(made.said())
        if made.process is not None and made.process.poll() is None:
            made.end(signal.SIGTERM)


def test_it_writes_what_callers_need_and_only_their_owner_may_read_it(platform: Platform) -> None:
    env = platform.env()
    assert list(env) == ["HOLDFAST_URL", "HOLDFAST_API_KEY", "TEMPORAL_UI_URL", "DATABASE_URL"]
    assert env["HOLDFAST_URL"] == f"http://127.0.0.1:{platform.port}"
    assert (platform.home / "env").stat().st_mode & 0o777 == 0o600
    assert platform.is_ready()


def test_it_prints_the_address_the_key_and_a_curl(platform: Platform) -> None:
    env, said = platform.env(), platform.said()
    assert all(env[name] in said for name in ("HOLDFAST_URL", "HOLDFAST_API_KEY", "TEMPORAL_UI_URL"))
    assert f"curl -N {env['HOLDFAST_URL']}/v1/conversation/complete" in said


def test_it_says_that_abilities_may_call_this_machine(platform: Platform) -> None:
    assert "HOLDFAST_OUTBOUND_LOOPBACK=false forbids it" in platform.said()


def test_the_first_call_streams_an_answer(platform: Platform) -> None:
    status, text = platform.call("POST", "/v1/conversation/complete", HELLO, "application/jsonl")
    events = [json.loads(line) for line in text.splitlines()]
    assert status == 200
    assert "token" in {event["type"] for event in events}
    assert events[-1]["type"] == "result"


def test_a_second_up_finds_the_first_and_says_so(platform: Platform) -> None:
    second = platform.command()
    assert second.wait(30) == 0
    assert platform.process is not None
    assert (
        f"already runs at {platform.env()['HOLDFAST_URL']} (process {platform.process.pid})"
        in platform.said()
    )
    assert platform.is_ready()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_comes_back(platform: Platform, part: str) -> None:
    killed = platform.pid(part)
    os.kill(killed, signal.SIGKILL)
    until(lambda: platform.pid(part) != killed and psutil.pid_exists(platform.pid(part)))
    until(platform.is_ready)
    assert f"{part} died (SIGKILL); restarting in" in platform.said()
    assert platform.call("POST", "/v1/conversation/complete", HELLO)[0] == 200


def test_two_run_side_by_side(platform: Platform, own_platform: Platform) -> None:
    assert platform.is_ready()
    assert own_platform.is_ready()
    assert platform.env()["DATABASE_URL"] != own_platform.env()["DATABASE_URL"]


def test_a_taken_port_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        platform = Platform(tmp_path / "home", taken.getsockname()[1])
        assert platform.command().wait(30) == 1
    assert f"port {platform.port} is taken by another program" in platform.said()
    assert not (platform.home / "run").exists()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_no_process_and_keeps_its_state(
    own_platform: Platform, sign: signal.Signals
) -> None:
    family, env = own_platform.family(), own_platform.env()
    made = json.loads(own_platform.call("POST", "/v1/conversation/create", {})[1])["id"]
    secret = json.loads(own_platform.call("POST", "/v1/secret/create", {"value": "v"})[1])["id"]
    assert own_platform.end(sign) == 0
    assert not [process for process in family if process.is_running()]
    own_platform.up()
    assert own_platform.env() == env
    assert own_platform.call("GET", f"/v1/conversation/{made}/fetch")[0] == 200
    assert '"authenticated"' in own_platform.call("POST", f"/v1/secret/{secret}/verify", {})[1]


def test_killed_itself_the_next_up_starts_clean_with_its_state(own_platform: Platform) -> None:
    family, env = own_platform.family(), own_platform.env()
    made = json.loads(own_platform.call("POST", "/v1/conversation/create", {})[1])["id"]
    assert own_platform.end(signal.SIGKILL) == -signal.SIGKILL
    own_platform.up()
    assert not [process for process in family if process.is_running()]
    assert own_platform.env() == env
    assert own_platform.call("GET", f"/v1/conversation/{made}/fetch")[0] == 200


def test_everything_killed_at_once_comes_back_with_its_state(own_platform: Platform) -> None:
    family, env = own_platform.family(), own_platform.env()
    made = json.loads(own_platform.call("POST", "/v1/conversation/create", {})[1])["id"]
    for process in family:
        process.kill()
    own_platform.end(signal.SIGKILL)
    own_platform.up()
    assert own_platform.env() == env
    assert own_platform.call("GET", f"/v1/conversation/{made}/fetch")[0] == 200
