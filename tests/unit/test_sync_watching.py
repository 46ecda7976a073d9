"""Events, subscriptions and log levels for code that does not await."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import pytest
import uvloop

import trunkline
import trunkline.sync
from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.runtime.events import Watch
from trunkline.supervision.subscription import Subscription
from trunkline.sync import watching
from trunkline.testing import FakeServer

A = "file:///a"


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


@pytest.fixture
def server() -> FakeServer:
    server = FakeServer(eras=["modern"], watchable=True, ttl_ms=60_000)
    server.resource(A)
    server.tool("t", returns="x")

    @server.tool
    def change() -> str:
        server.notify_resource(A)
        if "new" not in server.tools:
            server.tool("new", returns="n")
            server.notify_list("tools")
        return "changed"

    return server


def test_a_subscription_and_the_events_are_iterators(server: FakeServer):
    with trunkline.sync.connect({"fake": server}) as trunk:
        watch = trunk.events(ListChanged)
        with trunk.subscribe(A, timeout=10) as updates:
            assert (updates.server, updates.uri) == ("fake", A)
            trunk.call("fake.change")
            assert next(iter(updates)) == ResourceUpdated(server="fake", uri=A)
            assert next(iter(watch)).added == ("new",)
        assert list(updates) == []
        assert (watch.dropped, watch.ended) == (0, False)
        watch.close()
        assert list(watch) == []
        with trunk.events() as all_kinds:
            pass
        assert all_kinds.ended


def test_closing_the_trunk_ends_an_iteration_in_another_thread(server: FakeServer):
    trunk = trunkline.sync.connect({"fake": server})
    seen: list[Any] = []
    begun = threading.Event()

    def follow() -> None:
        watch = trunk.events()
        begun.set()
        try:
            seen.extend(watch)
        except RuntimeError as closed:
            seen.append(closed)

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(10)
    trunk.close()
    thread.join(10)
    assert not thread.is_alive()


def test_levels_and_errors_are_those_of_the_asynchronous_library(server: FakeServer):
    with trunkline.sync.connect({"fake": server}) as trunk:
        trunk.ready()
        trunk.set_log_level("info", "fake")
        with pytest.raises(trunkline.NotFoundError):
            trunk.subscribe("file:///nowhere", "fake")


@pytest.mark.parametrize(
    ("original", "mirror", "inner"),
    [
        (Watch, watching.Watch, {"wants", "put", "end"}),
        (Subscription, watching.Subscription, {"put", "end"}),
    ],
)
def test_every_public_name_of_a_stream_exists(original: type, mirror: type, inner: set[str]):
    names = {name for name, _ in inspect.getmembers(original) if not name.startswith("_")} - inner
    assert names <= {name for name, _ in inspect.getmembers(mirror)}
