"""The README as a new user follows it: a fresh clone, its commands in their order, what it says one sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.deploy.platform import OURS, ROOT, free_port, until

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_its_commands_are_make_up_a_first_call_and_other_targets_of_make() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    up, call, *others = BLOCKS
    named = [line.split("#")[0].split() for block in others for line in block.splitlines()]

    assert up == "make up\n"
    assert call.startswith(". .local/env\ncurl ")
    assert named
    assert all(make == "make" and target in targets for make, target in named)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed, and nothing else of ours."""
    folder = tmp_path / "holdfast"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), folder], check=True)
    return folder


@pytest.fixture
def env() -> dict[str, str]:
    """A new user's environment, with a port nobody has; `make test` leaves its own words in ours."""
    mine = {
        name: value for name, value in os.environ.items() if not name.startswith((*OURS, "MAKE", "MFLAGS"))
    }
    return mine | {"HOLDFAST_PORT": str(free_port())}


@pytest.fixture
def up(clone: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The first block, on its way; its output is in `up.out` beside the clone."""
    with (clone.parent / "up.out").open("wb") as output:
        # Without a shell between us, so that it is `make` that gets the signal.
        process = subprocess.Popen(
            BLOCKS[0].split(), cwd=clone, env=env, stdout=output, stderr=output, start_new_session=True
        )
        yield process
    if process.poll() is None:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fresh_clone_streams_a_first_answer_and_stops_without_a_trace(
    clone: Path, env: dict[str, str], up: subprocess.Popen[bytes]
) -> None:
    # The install takes most of this: half a minute on an idle machine.
    until(lambda: (clone / ".local" / "env").exists() or up.poll() is not None, 400)
    said = (clone.parent / "up.out").read_text()
    assert up.poll() is None, said

    answer = subprocess.run(["sh", "-ec", BLOCKS[1]], cwd=clone, env=env, capture_output=True, timeout=60)
    events = [json.loads(line) for line in answer.stdout.splitlines()]
    family = psutil.Process(up.pid).children(recursive=True)
    up.send_signal(signal.SIGTERM)
    up.wait(60)

    types = [event["type"] for event in events]
    assert types[0] == "completeBegin", (said, answer.stderr)
    assert types.count("token") > 5
    assert types[-1] == "result"
    assert "".join(e["data"]["token"] for e in events if e["type"] == "token") == events[-1]["data"]["text"]
    assert len(family) >= 5
    assert [process for process in family if process.is_running()] == []
    assert (
        subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, check=True).stdout
        == b""
    )
