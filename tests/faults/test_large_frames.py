"""Frames of up to one MiB, each the worst of its kind: the loop is held up for 50 ms at most.

What decides is the processor time of one turn of the loop. A frame that is nearly all values costs most:
decoding it makes 100,000 objects and more, which also sets Python's collector of garbage to work. The
machine these tests were written on takes 30 to 60 ms for a MiB of tools, blocks or numbers, and 70 to 120 ms
for 100,000 nested arrays; it is three times slower than the one the figure is for, so such frames have three
times the limit here. `make soak` holds all of them against the figure itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.meters import Turns
from trunkline.testing.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.alone, pytest.mark.usefixtures("own_garbage")]

MIB = 1024 * 1024
ROOM = MIB - 200
LAG = 0.05
ATTEMPTS = 4
MANY = 3 * LAG


class Frame(NamedTuple):
    """What a tool answers; `$ID` is the id of the request."""

    text: str
    limit: float = LAG


def result(body: str) -> str:
    return f'{{"jsonrpc":"2.0","id":$ID,"result":{body}}}'


def content(text: str) -> str:
    return result(f'{{"content":[{{"type":"text","text":"{text}"}}]}}')


def values(unit: str, count: int) -> str:
    return result(f'{{"content":[],"structuredContent":{{"a":[{",".join([unit] * count)}]}}}}')


def followed(note: str, count: int = 1) -> str:
    """Notifications, and then the answer."""
    return "\n".join([*[note] * count, content("done")])


def note(method: str, params: str) -> str:
    return f'{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}'


ESCAPED = "x\\u001b" * (ROOM // 7)
FRAMES = {
    "text": Frame(content("x" * ROOM)),
    "escaped quotes": Frame(content('\\"' * (ROOM // 2))),
    "brackets in text": Frame(content("[" * ROOM)),
    "control characters in an error": Frame(
        f'{{"jsonrpc":"2.0","id":$ID,"error":{{"code":-32000,"message":"{ESCAPED}"}}}}'
    ),
    "numbers": Frame(values("1", 199_000), MANY),
    "strings of brackets": Frame(values('"[,]"', 140_000), MANY),
    "empty objects": Frame(values("{}", 99_000), MANY),
    "arrays in each other": Frame(values("[" * 60 + "]" * 60, 1_600), MANY),
    "keys": Frame(
        result(f'{{"content":[],{",".join(f"{chr(34)}k{n}{chr(34)}:1" for n in range(85_000))}}}'), MANY
    ),
    "blocks": Frame(result(f'{{"content":[{",".join([chr(123) + chr(125)] * 99_000)}]}}'), MANY),
    "objects too deep": Frame(result('{"a":' * 170_000 + "1" + "}" * 170_000)),
    "arrays too deep again and again": Frame(values("[" * 70 + "]" * 70, 1_000)),
    "arrays too deep": Frame(result("[" * 99_000 + "]" * 99_000)),
    "too many values": Frame(values("[]", 340_000)),
    "log": Frame(followed(note("message", f'{{"level":"info","data":"{ESCAPED}"}}'))),
    "logs": Frame(followed(note("message", '{"level":"info","data":"x"}'), 12_000)),
    "progress": Frame(
        followed(note("progress", f'{{"progressToken":$ID,"progress":1,"message":"{ESCAPED}"}}'))
    ),
    "strays": Frame(followed('{"jsonrpc":"2.0","id":9999,"result":{}}', 25_000)),
    "lines of nothing": Frame(followed("", ROOM)),
    "lines of garbage": Frame(followed("1", 100_000)),
}
LOG = note("message", '{"level":"info","data":"x"}')
BATCH = "[" + ",".join([*[LOG] * 11_000, content("done")]) + "]"


def page(member: str, item: str, count: int) -> Frame:
    """A page of so many items; `$N` is the number of each."""
    items = ",".join(item.replace("$N", str(number)) for number in range(count))
    return Frame(result(f'{{"{member}":[{items}]}}'), MANY)


PAGES = {
    "tools": page("tools", '{"name":"t$N","inputSchema":{"type":"object"}}', 20_000),
    "malformed tools": page("tools", '{"name":7}', 90_000),
    "resources": page("resources", '{"uri":"file:///$N"}', 38_000),
    "templates": page("resourceTemplates", '{"uriTemplate":"file:///{a}/$N"}', 27_000),
    "prompts": page("prompts", '{"name":"n$N","arguments":[{"name":"a"}]}', 22_000),
}
LISTS = {
    "resources": "resources/list",
    "templates": "resources/templates/list",
    "prompts": "prompts/list",
}

Work = Callable[[trunkline.Trunk], Any]


async def longest_turn(entry: Any, work: Work) -> float:
    """Give the processor seconds of the longest turn while `work` is done."""
    async with trunkline.connect({"hostile": entry}) as trunk:
        await trunk.call("hostile.echo", {"n": 1}, timeout=20)
        trunk.events()
        with Turns() as turns:
            await work(trunk)
            assert "2" in (await trunk.call("hostile.echo", {"n": 2}, timeout=20)).text
        return turns.longest_cpu


async def attack(trunk: trunkline.Trunk) -> None:
    """Call the hostile tool; it is answered, and what an error says of it has a bound."""
    try:
        await trunk.call("hostile.attack", timeout=20, on_progress=lambda _: None)
    except trunkline.CallError as cause:
        error = cause
    else:
        return
    assert not isinstance(error, trunkline.DeadlineExceededError)
    assert len(str(error)) < 20_000


def hostile(text: str, **options: Any) -> FakeServer:
    server = FakeServer("hostile", **{"eras": ["modern"], **options})
    server.tool("attack", returns="x")
    server.tool("echo", reports="arguments")
    server.resource("file:///a")
    server.prompt("p", "x")
    if text:
        server.fault("attack", Fault.raw(text))
    return server


async def hold(limit: float, measure: Callable[[], Any]) -> None:
    """Hold a turn against its limit; on a busy machine one of a few is undisturbed."""
    longest = [await measure()]
    while min(longest) > limit and len(longest) < ATTEMPTS:
        longest.append(await measure())
    assert min(longest) <= limit


@pytest.fixture(scope="module")
def process() -> Any:
    with ServerProcess() as one:
        yield one


async def over_stdio(name: str, limit: float, folder: Any) -> None:
    entry = hostile(FRAMES[name].text).to_stdio_entry(folder)
    await hold(limit, lambda: longest_turn(entry, attack))


@pytest.mark.parametrize("name", FRAMES)
async def test_no_frame_of_a_mebibyte_holds_the_loop_up(name: str, tmp_path: Any):
    await over_stdio(name, FRAMES[name].limit, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", FRAMES)
async def test_no_frame_of_a_mebibyte_holds_the_loop_up_for_50_ms(name: str, tmp_path: Any):
    await over_stdio(name, LAG, tmp_path)


@pytest.mark.parametrize("carrier", ["json", "sse", "older", "websocket"])
@pytest.mark.parametrize("name", ["text", "objects too deep", "control characters in an error", "numbers"])
async def test_no_frame_over_a_network_holds_the_loop_up(name: str, carrier: Any, process: ServerProcess):
    family = "legacy" if carrier in ("sse", "older") else "modern"
    url = process.serve(hostile(FRAMES[name].text, eras=[family]), carrier)
    entry = {"url": url, **({"type": "sse"} if carrier == "older" else {})}
    try:
        await hold(FRAMES[name].limit, lambda: longest_turn(entry, attack))
    finally:
        process.stop(url)


async def test_no_batch_of_messages_holds_the_loop_up(tmp_path: Any):
    entry = hostile(BATCH, eras=["legacy"], versions=["2025-03-26"]).to_stdio_entry(tmp_path)
    await hold(LAG, lambda: longest_turn(entry, attack))


async def use_lists(trunk: trunkline.Trunk) -> None:
    """Have everything listed again, and everything that is built from it."""
    supervisor = trunk._fleet.get("hostile")
    for kind in ("tools", "resources", "templates", "prompts"):
        await supervisor.lists.refresh(kind)
        await asyncio.sleep(0)
        assert trunk.catalog is not None
        await asyncio.sleep(0)


async def over_lists(name: str, limit: float, folder: Any) -> None:
    server = hostile("")
    server.fault(LISTS.get(name, "tools/list"), Fault.raw(PAGES[name].text), nth=2)
    entry = server.to_stdio_entry(folder)
    await hold(limit, lambda: longest_turn(entry, use_lists))


@pytest.mark.parametrize("name", PAGES)
async def test_no_page_of_a_list_holds_the_loop_up(name: str, tmp_path: Any):
    await over_lists(name, PAGES[name].limit, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", PAGES)
async def test_no_page_of_a_list_holds_the_loop_up_for_50_ms(name: str, tmp_path: Any):
    await over_lists(name, LAG, tmp_path)
