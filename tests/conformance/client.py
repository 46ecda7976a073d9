"""The client that the official conformance suite starts: one scenario, over Trunkline's public surface only.

The suite gives the server's URL as the last argument, and in the environment the scenario's name, the
revision its server speaks, and, as JSON, what the scenario wants called. Trunkline is told none of it but the
URL: it finds out the revision by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trunkline

SAMPLES = {"string": "text", "integer": 7, "number": 2.5, "boolean": True, "array": [], "object": {}}
"""An argument of each JSON type."""


def accept_defaults(request: trunkline.ElicitRequest) -> trunkline.ElicitResult:
    """Answer a form as a person who sees its defaults and agrees."""
    return trunkline.ElicitResult.accept(request.defaults)


async def list_tools(trunk: trunkline.Trunk) -> None:
    """Look at every tool and call none."""
    await trunk.ready()
    if error := trunk.status()["server"].last_error:
        raise SystemExit(error)


async def call_every_tool(trunk: trunkline.Trunk) -> None:
    """Call each tool that was listed, with an argument for each required field."""
    await list_tools(trunk)
    for tool in trunk.catalog.tools:
        await call(trunk, tool.name, sample(tool.input_schema))


async def call_at_once(trunk: trunkline.Trunk) -> None:
    """Call every tool while the calls of all others are in flight."""
    await list_tools(trunk)
    calls = [(tool.name, sample(tool.input_schema)) for tool in trunk.catalog.tools]
    for outcome in await trunk.call_many(calls):
        judge(outcome)


async def call_as_told(trunk: trunkline.Trunk) -> None:
    """Make the calls that the scenario gives, as it gives them."""
    for wanted in json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])["toolCalls"]:
        await call(trunk, wanted["name"], wanted["arguments"])


async def call_unanswered(trunk: trunkline.Trunk) -> None:
    """Call each tool of a server that lists tools and answers no call, so that their schemas are read."""
    await list_tools(trunk)
    for tool in trunk.catalog.tools:
        try:
            await call(trunk, tool.name, sample(tool.input_schema))
        except trunkline.ServerError as error:
            if error.rpc_code != -32601:
                raise


async def echo_schema(trunk: trunkline.Trunk) -> None:
    """Send a tool's input schema back as it came."""
    await list_tools(trunk)
    schemas = {tool.name: tool.input_schema for tool in trunk.catalog.tools}
    await call(trunk, "json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})


async def call(trunk: trunkline.Trunk, tool: str, arguments: Mapping[str, Any]) -> None:
    """Call one tool, which must succeed."""
    judge(await trunk.call(tool, arguments, timeout=15))


def judge(outcome: trunkline.Reply | trunkline.CallError) -> None:
    """Stop at the first call that did not succeed."""
    if isinstance(outcome, trunkline.CallError):
        raise outcome
    if outcome.is_error:
        raise SystemExit(f"the tool failed: {outcome.text}")


def sample(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give arguments that fit a schema of flat fields."""
    fields = schema.get("properties", {})
    return {name: SAMPLES[fields[name].get("type", "string")] for name in schema.get("required", ())}


SCENARIOS: dict[str, Callable[[trunkline.Trunk], Awaitable[None]]] = {
    "initialize": list_tools,
    "tools_call": call_every_tool,
    "elicitation-sep1034-client-defaults": call_every_tool,
    "sse-retry": call_every_tool,
    "request-metadata": list_tools,
    "sep-2322-client-request-state": call_at_once,
    "http-standard-headers": call_every_tool,
    "http-custom-headers": call_as_told,
    "http-invalid-tool-headers": call_every_tool,
    "json-schema-ref-no-deref": call_unanswered,
    "json-schema-2020-12-preservation": echo_schema,
}


async def main(scenario: str, url: str) -> None:
    """Play one scenario against the suite's server."""
    # The suite sends null where a schema asks for a boolean, which Trunkline would not let through.
    policy = {"defaults": {"validate": scenario != "http-custom-headers"}}
    handlers = trunkline.Handlers(elicit=accept_defaults)
    async with trunkline.connect(url, handlers=handlers, policy=policy) as trunk:
        await SCENARIOS[scenario](trunk)


if __name__ == "__main__":
    asyncio.run(main(os.environ["MCP_CONFORMANCE_SCENARIO"], sys.argv[-1]))
