"""The embedded Temporal, a real server with its web UI, and what our plans need of any cluster."""

from __future__ import annotations

import asyncio
import signal
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from deploy import tether

STOP = signal.SIGTERM
SEARCH_ATTRIBUTES = ("AccountId", "Kind", "ConversationId", "TaskId", "TriggerId", "BotId")
RETENTION_HOURS = 720

DYNAMIC_CONFIG = {
    # Its one shard may poll its queues 20 times a second by default: most of the dev server's delay.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
    # Otherwise every timer under a second takes one.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # Pushes a cancel to the worker at once instead of at its next heartbeat.
    "system.enableCancelActivityWorkerCommand": "true",
    "frontend.WorkerCommandsEnabled": "true",
    "matching.enableFairness": "true",
    # It would call home.
    "frontend.enableServerVersionCheck": "false",
}


def binary() -> str:
    found = Path(sysconfig.get_path("scripts")) / "temporal"
    if not found.exists():
        raise FileNotFoundError("no embedded Temporal is installed: set TEMPORAL_ADDRESS")
    return str(found)


def command(home: Path, port: int, ui_port: int) -> list[str]:
    """The server's command line, for a process that ends when its parent does."""
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port), "--log-level", "warn"]
    # Synchronous stays FULL: what Temporal has acknowledged survives a power cut.
    file = ["--db-filename", str(home.resolve() / "temporal.db"), "--sqlite-pragma", "journal_mode=WAL"]
    dynamic = [part for item in DYNAMIC_CONFIG.items() for part in ("--dynamic-config-value", "=".join(item))]
    return tether.command(STOP, [binary(), "server", "start-dev", *flags, *file, *dynamic])


def environment(port: int) -> dict[str, str]:
    """What makes Temporal's client meet the embedded server, whatever profile the user's own files name."""
    return {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": "/dev/null",
    }


async def prepare(env: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Add our search attributes to the namespace that `env` (Temporal's own variables) names.

    Asks until the server answers; a cluster that does not let us gets its operator told what to add.
    """
    client = await connect(env)
    try:
        await add_search_attributes(client)
    except RPCError as error:
        names = ", ".join(SEARCH_ATTRIBUTES)
        say(f"temporal refuses new search attributes ({error.status.name}); add, as Keyword: {names}")


async def connect(env: Mapping[str, str]) -> Client:
    config = ClientConfig.load_client_connect_config(override_env_vars=dict(env))
    while True:
        try:
            return await Client.connect(**config)
        except RuntimeError:
            await asyncio.sleep(0.1)


async def add_search_attributes(client: Client) -> None:
    """Add those that are missing; a second call changes nothing."""
    service = client.operator_service
    known = await service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]
    if missing:
        kinds = dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
        wanted = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
        await service.add_search_attributes(wanted)


async def keep_histories(client: Client, hours: int = RETENTION_HOURS) -> None:
    """How long the embedded server keeps closed histories: its own default is 24 h."""
    config = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=hours * 3600))
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=client.namespace, config=config)
    )
