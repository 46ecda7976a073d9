"""Resources, prompts and raw requests without `await`: the same values, and streams that are iterators."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import uvloop

import trunkline
import trunkline.sync
from trunkline.testing import FakeServer, Fault


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.resource("mem://text", "hello")
    server.resource("mem://bytes", data=bytes(1000))
    server.resource("mem://items/{id}", "item {id}")
    server.prompt("greet", "Hello {who}", arguments=["who"])
    server.completion("greet", "who", ["ann", "anna", "bob"])
    return server


@pytest.fixture
def trunk(server: FakeServer) -> Iterator[trunkline.sync.Trunk]:
    with trunkline.sync.connect({"fake": server}) as trunk:
        yield trunk


def test_everything_is_there_without_await(trunk: trunkline.sync.Trunk, server: FakeServer) -> None:
    trunk.ready()
    assert [one.uri for one in trunk.resources] == ["mem://text", "mem://bytes"]
    assert [one.uri_template for one in trunk.templates] == ["mem://items/{id}"]
    assert [one.public_name for one in trunk.prompts] == ["fake.greet"]
    assert trunk.read("mem://text").text == "hello"
    assert trunk.read("mem://items/7", "fake", 5).text == "item 7"
    assert trunk.get_prompt("greet", {"who": "you"}).messages[0].text == "Hello you"
    assert trunk.complete("greet", "who", "an").values == ("ann", "anna")
    assert trunk.request("fake", "tools/list").raw["tools"][0]["name"] == "echo"
    trunk.notify("fake", "notifications/own")
    trunk.call("echo")
    assert server.ledger.of("notifications/own")


def test_chunks_are_an_iterator_that_may_be_left_early(trunk: trunkline.sync.Trunk) -> None:
    chunks = list(trunk.read_chunks("mem://bytes", chunk_bytes=300))
    assert [len(chunk.data) for chunk in chunks] == [300, 300, 300, 100]
    stream = trunk.read_chunks("mem://bytes", chunk_bytes=300)
    assert len(next(stream).data) == 300
    stream.close()
    assert trunk.read("mem://text").text == "hello"


def test_errors_are_those_of_the_asynchronous_library(
    trunk: trunkline.sync.Trunk, server: FakeServer
) -> None:
    with pytest.raises(trunkline.InvalidArgumentsError):
        trunk.get_prompt("greet")
    with pytest.raises(trunkline.NotFoundError):
        trunk.read("mem://absent")
    server.fault("resources/read", Fault.hang)
    with pytest.raises(trunkline.DeadlineExceededError):
        trunk.read("mem://text", timeout=0.05)
    with pytest.raises(trunkline.DeadlineExceededError):
        next(trunk.read_chunks("mem://text", timeout=0.05))
