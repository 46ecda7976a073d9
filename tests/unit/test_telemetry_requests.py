"""Spans, logs and errors of what is no tool: named rightly, and no URI's secret is in them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import trunkline
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.telemetry.attributes import Endpoint, call_attributes, span_name
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def made(method: str, name: str) -> Call:
    return Call(
        id="1",
        server="s",
        name=name,
        public_name=f"s.{name}",
        arguments={},
        principal=LOCAL,
        deadline=1,
        idle=1,
        flight=Flight(0),
        method=method,
    )


@pytest.mark.parametrize(
    ("method", "name", "span", "attributes"),
    [
        (
            "tools/call",
            "add",
            "tools/call add",
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"},
        ),
        ("prompts/get", "greet", "prompts/get greet", {"gen_ai.prompt.name": "greet"}),
        ("resources/read", "db://a?token=s3", "resources/read", {}),
        ("completion/complete", "db://{x}", "completion/complete", {}),
        ("own/method", "secret", "own/method", {}),
    ],
)
def test_a_span_names_tools_and_prompts_and_no_uri(
    method: str, name: str, span: str, attributes: dict[str, Any]
):
    call = made(method, name)
    assert span_name(call) == span
    assert call_attributes(call, Endpoint()) == {"mcp.method.name": method, **attributes}


async def test_the_secret_of_a_uri_is_in_no_log_and_no_error_of_its_call(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "trunkline")
    server = FakeServer()
    uri = "db://user:s3cret@host/table?token=s3cret#s3cret"
    server.resource(uri, "rows")
    async with trunkline.connect({"fake": server}) as trunk:
        reply = await trunk.read(uri)
        assert (reply.uri, reply.tool, reply.text) == (uri, "fake db://host/table", "rows")
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.read(uri + "x", "fake")
        assert "s3cret" not in str(caught.value)
    assert "db://host/table" in caplog.text
    assert "s3cret" not in caplog.text
