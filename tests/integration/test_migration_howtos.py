"""The pages for people who come from another client: before and after run and give the same."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Result

pytestmark = pytest.mark.anyio

HOWTO = Path(__file__).parents[2] / "docs" / "how-to"


def functions(page: str) -> dict[str, Any]:
    """Run the code of a page, in order, and give what it defines."""
    blocks = re.findall(r"```python\n(.*?)```", (HOWTO / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 5
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
    return namespace


def shop() -> FakeServer:
    server = FakeServer("shop")
    number = {"type": "integer"}
    server.tool("encode", returns="done", delay=0.05, progress=[(1, 2, None), (2, 2, None)])
    server.tool("refuse", error="out of stock")
    server.tool("break", rpc_error=(-32000, "broken", None))

    @server.tool(
        schema={"type": "object", "properties": {"a": number, "b": number}},
        output_schema={"type": "object", "properties": {"sum": number}},
    )
    def add(arguments: dict[str, Any]) -> dict[str, int]:
        return {"sum": arguments["a"] + arguments["b"]}

    @server.tool(
        schema={"type": "object", "properties": {"who": {"type": "string"}}},
        output_schema={
            "type": "object",
            "properties": {"result": {"type": "string"}},
            "x-fastmcp-wrap-result": True,
        },
    )
    def greet(arguments: dict[str, Any]) -> Any:
        text = f"Hello, {arguments['who']}"
        return Result(content=[{"type": "text", "text": text}], structuredContent={"result": text})

    return server


@pytest.mark.parametrize("page", ["from-the-sdk-client.md", "from-fastmcp-client.md"])
@pytest.mark.parametrize(("name", "value"), [("add", 3), ("encode", [1, 2])])
async def test_before_and_after_give_the_same(page: str, name: str, value: Any):
    defined = functions(page)
    async with shop().http(json=False) as url:
        assert await defined[f"{name}_before"](url) == value
        assert await defined[f"{name}_after"](url) == value


async def test_both_ways_of_starting_a_process_give_the_same(tmp_path: Path):
    defined = functions("from-the-sdk-client.md")
    server = FakeServer("shop")
    server.tool("greet", returns="Hello")
    entry = server.to_stdio_entry(tmp_path)
    assert entry["command"] == sys.executable
    before = await defined["start_before"](entry["command"], entry["args"], entry["env"])
    after = await defined["start_after"](entry["command"], entry["args"], entry["env"])
    assert before == after == "Hello"


async def test_failures_are_told_by_both():
    sdk, fastmcp = functions("from-the-sdk-client.md"), functions("from-fastmcp-client.md")
    async with shop().http(json=False) as url:
        assert await sdk["fail_before"](url) == "the tool says: out of stock"
        assert await sdk["fail_after"](url) == "the tool says: out of stock"
        assert await fastmcp["fail_before"](url) == "out of stock"
        assert await fastmcp["fail_after"](url) == "out of stock"
        async with trunkline.connect(url, name="shop") as trunk:
            with pytest.raises(trunkline.ServerError) as caught:
                await trunk.call("shop.break")
        assert (caught.value.delivery, caught.value.rpc_message) == ("answered", "broken")


async def test_several_servers_give_the_same():
    defined = functions("from-fastmcp-client.md")
    async with shop().http(json=False) as one, shop().http(json=False) as two:
        assert await defined["several_before"](one, two) == ("Hello, Ada", "Hello, Ada")
        assert await defined["several_after"](one, two) == ("Hello, Ada", "Hello, Ada")


async def test_tests_without_a_server_give_the_same():
    defined = functions("from-fastmcp-client.md")
    assert await defined["test_before"]() == await defined["test_after"]() == "Hello, Ada"


async def test_what_the_pages_say_about_arguments_and_names_holds():
    import fastmcp
    import mcp

    server = careless()
    async with server.http(json=False) as url:
        for client in (mcp.Client, fastmcp.Client):
            async with client(url) as connected:
                await connected.call_tool("greet", {})
                with pytest.raises(mcp.MCPError):
                    await connected.call_tool("nope", {})
        assert [call.params["name"] for call in server.ledger.calls] == ["greet", "nope"] * 2
        async with trunkline.connect(url, name="shop") as trunk:
            for name, kind in (("greet", trunkline.InvalidArgumentsError), ("nope", trunkline.NotFoundError)):
                with pytest.raises(kind) as caught:
                    await trunk.call(f"shop.{name}", {})
                assert caught.value.delivery == "never_sent"
        assert len(server.ledger.calls) == 4


async def test_what_the_pages_say_about_results_that_do_not_fit_holds():
    import fastmcp
    import mcp

    server = careless()
    async with server.http(json=False) as url:
        for client in (mcp.Client, fastmcp.Client):
            async with client(url) as connected:
                with pytest.raises(RuntimeError, match="Invalid structured content"):
                    await connected.call_tool("lie", {})
        async with trunkline.connect(url, name="shop") as trunk:
            reply = await trunk.call("shop.lie")
    assert (reply.structured, len(reply.warnings)) == ({"count": "many"}, 1)
    assert server.ledger.executed("lie") == 3


async def test_what_the_page_says_about_a_server_that_is_down_holds():
    import fastmcp
    from fastmcp.exceptions import ToolError

    async with shop().http(json=False) as url:
        config = {"mcpServers": {"shop": {"url": url}, "desk": {"url": "http://127.0.0.1:9/mcp"}}}
        async with fastmcp.Client(config) as client:
            assert "shop_greet" in [tool.name for tool in await client.list_tools()]
            with pytest.raises(ToolError, match="Unknown tool"):
                await client.call_tool("desk_greet", {"who": "Ada"})
        async with trunkline.connect(config) as trunk:
            assert (await trunk.call("shop.greet", {"who": "Ada"})).text == "Hello, Ada"
            with pytest.raises(trunkline.UnavailableError):
                await trunk.call("desk.greet", {"who": "Ada"})
            assert trunk.status()["desk"].last_error


def careless() -> FakeServer:
    """A server that takes any arguments, whatever it asks for, and breaks what it promises of its results."""
    server = FakeServer("shop")
    who = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    promised = {"type": "object", "properties": {"count": {"type": "integer"}}}
    lie = Result(content=[{"type": "text", "text": "many"}], structuredContent={"count": "many"})
    server.tool("greet", schema=who, returns="Hello")
    server.tool("lie", output_schema=promised, returns=lie)
    return server
