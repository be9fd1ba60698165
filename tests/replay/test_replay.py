"""Runs of earlier versions must still find their way through today's plans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.replay.record import FOLDER
from worker import SANDBOX, WORKFLOWS

HISTORIES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    history = _history(file)
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=SANDBOX, data_converter=pydantic_data_converter)

    await replayer.replay_workflow(history)


def _history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, json.loads(file.read_text()))


def test_every_workflow_has_a_recorded_history() -> None:
    recorded = {file.stem.split("-")[0] for file in HISTORIES}

    assert recorded == {
        *("ability", "completion", "delivery", "task_run", "trigger_event", "turn", "upkeep"),
    }
