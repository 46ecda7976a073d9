"""The control socket when the process behind it vanishes or says nothing: what its client is told."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from trunkline.errors import DeadlineExceededError, OutcomeUnknownError, TrunklineError
from trunkline.runtime.control_client import AttachedTrunk
from trunkline.runtime.control_link import ControlLink
from trunkline.runtime.control_messages import VERSION

pytestmark = pytest.mark.anyio


@pytest.fixture
def path() -> Iterator[str]:
    """Give a path short enough for a socket."""
    folder = tempfile.mkdtemp(prefix="tl-")
    yield f"{folder}/c.sock"
    shutil.rmtree(folder)


@pytest.fixture
def stub(path: str) -> Callable[..., AbstractAsyncContextManager[None]]:
    """A server that welcomes a client and then does what `behave` does."""

    @asynccontextmanager
    async def serve(behave: Any) -> AsyncIterator[None]:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b'{"type":"welcome","id":0,"version":%d,"pid":1}\n' % VERSION)
            await reader.readline()
            await behave(reader, writer)
            writer.close()

        server = await asyncio.start_unix_server(converse, path)
        try:
            yield
        finally:
            server.close()

    return serve


async def vanish(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    return


async def stay_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("behave", "kind", "delivery"),
    [(vanish, OutcomeUnknownError, "unknown"), (stay_silent, DeadlineExceededError, "unknown")],
)
async def test_a_lost_or_silent_process_is_told_as_an_unknown_outcome(
    path: str,
    stub: Any,
    monkeypatch: pytest.MonkeyPatch,
    behave: Any,
    kind: type[TrunklineError],
    delivery: str,
) -> None:
    monkeypatch.setattr("trunkline.runtime.control_client._GRACE", 0.1)
    async with stub(behave):
        link = await asyncio.to_thread(ControlLink.open, path, "d" * 64)
        async with AttachedTrunk(link, ("a",)) as remote:
            with pytest.raises(kind) as caught:
                await remote.call("a.echo", {}, timeout=0.1)
    assert caught.value.delivery == delivery  # type: ignore[attr-defined]
