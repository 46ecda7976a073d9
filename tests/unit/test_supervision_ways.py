"""In which order a server's transports are tried, what is remembered, and when it is found out anew."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from trunkline.errors import AuthorizationRequiredError, ProtocolError, UnavailableError
from trunkline.supervision import ways
from trunkline.supervision.ways import Ways

pytestmark = pytest.mark.anyio

HTTP, SSE = "http", "sse"


class Server:
    """Plays a server behind a URL: what each transport meets there."""

    def __init__(
        self, *, family: str | None = None, older: bool = True, remembered: Any = None, **meets: Any
    ) -> None:
        self.meets = meets
        self.tried: list[tuple[str, str | None]] = []
        settings: Any = SimpleNamespace(
            family=family,
            open_link=self.opener(HTTP),
            open_older=self.opener(SSE) if older else None,
            remembered=remembered,
        )
        self.ways = Ways(settings)

    def opener(self, kind: str) -> Any:
        async def open_link() -> Any:
            if self.meets.get(kind) == "silence":
                await asyncio.Event().wait()
            return kind

        return open_link

    async def connect(self) -> Any:
        async def negotiate(family: str | None, opener: Any) -> Any:
            kind = await opener()
            self.tried.append((kind, family))
            answer = self.meets.get(kind, "refused")
            if isinstance(answer, Exception):
                raise answer
            if answer == "refused" or (family is not None and family != answer):
                raise ProtocolError("no", status=405 if answer == "refused" else None)
            return SimpleNamespace(
                link=SimpleNamespace(kind=kind),
                agreed=SimpleNamespace(era=SimpleNamespace(family=answer)),
            )

        self.tried.clear()
        connection = await self.ways.connect(negotiate)  # type: ignore[arg-type]
        self.ways.remember(connection)
        return connection.link.kind


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_the_newer_transport_is_tried_first_and_its_family_remembered(family: str):
    server = Server(http=family)
    assert await server.connect() == HTTP
    assert server.tried == [(HTTP, None)]
    assert await server.connect() == HTTP
    assert server.tried == [(HTTP, family)]


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_server_of_the_older_transport_is_found_by_its_status_and_remembered(status: int):
    server = Server(http=ProtocolError("no", status=status), sse="legacy")
    assert await server.connect() == SSE
    assert server.tried == [(HTTP, None), (SSE, "legacy")]
    assert await server.connect() == SSE
    assert server.tried == [(SSE, "legacy")]


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("no", status=406),
        ProtocolError("no", status=500),
        ProtocolError("no"),
        UnavailableError("no", status=404),
        AuthorizationRequiredError("no", status=401),
    ],
)
async def test_what_says_nothing_of_the_transport_is_no_reason_to_try_another(error: Exception):
    server = Server(http=error, sse="legacy")
    with pytest.raises(type(error)) as caught:
        await server.connect()
    assert caught.value is error
    assert server.tried == [(HTTP, None)]


@pytest.mark.parametrize("becomes", ["legacy", "modern"])
async def test_a_server_that_is_no_longer_of_the_older_transport_is_found_out_at_once(becomes: str):
    server = Server(sse="legacy")
    await server.connect()
    server.meets = {HTTP: becomes}
    assert await server.connect() == HTTP
    assert server.tried == [(SSE, "legacy"), (HTTP, None)]


@pytest.mark.parametrize(("was", "becomes"), [("modern", "legacy"), ("legacy", "modern")])
async def test_a_server_that_has_changed_its_family_is_found_out_at_once(was: str, becomes: str):
    server = Server(http=was)
    await server.connect()
    server.meets = {HTTP: becomes}
    assert await server.connect() == HTTP
    assert server.tried == [(HTTP, was), (HTTP, None)]


async def test_a_server_that_is_now_of_the_older_transport_is_found_out_at_once():
    server = Server(http="modern")
    await server.connect()
    server.meets = {SSE: "legacy"}
    assert await server.connect() == SSE
    assert server.ways.family == "legacy"


async def test_a_program_is_not_started_twice_to_find_out():
    server = Server(older=False, http="modern")
    await server.connect()
    server.meets = {HTTP: "legacy"}
    with pytest.raises(ProtocolError):
        await server.connect()
    assert server.tried == [(HTTP, "modern")]


async def test_a_pinned_family_is_never_left():
    server = Server(family="modern", http="refused", sse="legacy")
    for _ in range(2):
        with pytest.raises(ProtocolError):
            await server.connect()
        assert server.tried == [(HTTP, "modern")]


async def test_what_is_neither_is_explained_by_the_newer_transport():
    newer = ProtocolError("not here", status=404)
    with pytest.raises(ProtocolError) as caught:
        await Server(http=newer, sse=ProtocolError("no stream", status=405)).connect()
    assert caught.value is newer


@pytest.mark.parametrize(
    "older", [ProtocolError("of another origin"), AuthorizationRequiredError("a token", status=401)]
)
async def test_what_is_surely_of_the_older_transport_is_explained_by_it(older: Exception):
    with pytest.raises(type(older)) as caught:
        await Server(http=ProtocolError("not here", status=404), sse=older).connect()
    assert caught.value is older


async def test_a_stream_that_names_no_endpoint_soon_is_none_of_the_older_transport(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(ways, "_PATIENCE", 0.01)
    newer = ProtocolError("not here", status=400)
    async with asyncio.timeout(5):
        with pytest.raises(ProtocolError) as caught:
            await Server(http=newer, sse="silence").connect()
    assert caught.value is newer


async def test_a_cancelled_connect_forgets_nothing():
    server = Server(sse="legacy")
    await server.connect()
    server.meets = {SSE: "silence"}
    connecting = asyncio.create_task(server.connect())
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    server.meets = {SSE: "legacy"}
    await server.connect()
    assert server.tried == [(SSE, "legacy")]


def remembered(family: str, *, older: bool = False) -> Any:
    return SimpleNamespace(family=family, older=older)


async def test_the_transport_of_an_earlier_run_is_tried_first_and_believed_when_it_is_right():
    server = Server(sse="legacy", remembered=remembered("legacy", older=True))
    assert await server.connect() == SSE
    assert server.tried == [(SSE, "legacy")]


@pytest.mark.parametrize("stream", ["refused", "silence"])
async def test_the_transport_of_an_earlier_run_is_left_at_once_when_it_is_wrong(
    stream: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ways, "_PATIENCE", 0.01)
    server = Server(http="modern", sse=stream, remembered=remembered("legacy", older=True))
    async with asyncio.timeout(5):
        assert await server.connect() == HTTP
    assert server.tried[-1] == (HTTP, None)


async def test_an_earlier_run_overrules_no_pinned_family():
    server = Server(family="modern", http="modern", remembered=remembered("legacy", older=True))
    await server.connect()
    assert (server.tried, server.ways.expected) == ([(HTTP, "modern")], None)


@pytest.mark.parametrize(
    ("older", "family", "doubted"),
    [(False, "legacy", True), (False, "modern", False), (True, "legacy", False)],
)
def test_only_a_process_known_for_its_handshake_may_have_ended_over_it(
    older: bool, family: str, doubted: bool
):
    server = Server(older=older, remembered=remembered(family))
    assert (server.ways.doubt(), server.ways.doubt()) == (doubted, False)
