"""`python -m deploy.namespace`: gives a Temporal namespace what our plans need of it.

Connects as Temporal's own variables and profiles say, for as long as it takes the server to answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

SEARCH_ATTRIBUTES = ("AccountId", "Kind", "ConversationId", "TaskId", "TriggerId", "BotId")


async def prepare(env: Mapping[str, str], retention_hours: int = 0) -> str:
    """Add our search attributes and, unless 0, set how long closed histories are kept.

    `env` holds Temporal's own variables. Returns what an operator has to do because we may not, "" when all
    is done. A second call changes nothing.
    """
    client = await connect(env)
    try:
        await _add_search_attributes(client)
        if retention_hours:
            await _keep_histories(client, retention_hours)
    except RPCError as error:
        names = ", ".join(SEARCH_ATTRIBUTES)
        return f"temporal refuses ({error.status.name}): add these search attributes, all Keyword: {names}"
    return ""


async def connect(env: Mapping[str, str]) -> Client:
    config = ClientConfig.load_client_connect_config(override_env_vars=dict(env))
    while True:
        try:
            return await Client.connect(**config)
        except RuntimeError:
            await asyncio.sleep(0.1)


async def _add_search_attributes(client: Client) -> None:
    service = client.operator_service
    known = await service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]
    if missing:
        kinds = dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
        wanted = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
        await service.add_search_attributes(wanted)


async def _keep_histories(client: Client, hours: int) -> None:
    config = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=hours * 3600))
    wanted = UpdateNamespaceRequest(namespace=client.namespace, config=config)
    await client.workflow_service.update_namespace(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.namespace", description=__doc__)
    parser.add_argument("--retention-hours", type=int, default=0, help="0 leaves it as it is")
    print(asyncio.run(prepare(os.environ, parser.parse_args().retention_hours)), flush=True)
    # Short-lived clients crash now and then while Python finalizes (temporalio/sdk-python#300): skip that.
    os._exit(0)


if __name__ == "__main__":
    main()
