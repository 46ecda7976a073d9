"""TLS and proxies over every transport that has a URL: what is trusted and shown, and what errors say."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.http_proxy import HttpProxy

pytestmark = pytest.mark.anyio

TRANSPORTS = pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
    return context


def echoing() -> FakeServer:
    server = FakeServer()
    server.tool("echo", reports="arguments")
    return server


@asynccontextmanager
async def plain(server: FakeServer, transport: str) -> AsyncIterator[tuple[str, int, str]]:
    """Give scheme, port and path of a server without TLS."""
    serve: Callable[[], Any] = {
        "http": server.http,
        "sse": server.sse,
        "websocket": server.websocket,
    }[transport]
    async with serve() as url:
        scheme, _, rest = url.partition("://")
        place, slash, path = rest.partition("/")
        yield scheme, int(place.rpartition(":")[2]), slash + path


@asynccontextmanager
async def secured(
    server: FakeServer, transport: str, context: ssl.SSLContext, host: str = "127.0.0.1"
) -> AsyncIterator[dict[str, Any]]:
    """Put TLS before a server and give its entry."""
    async with plain(server, transport) as (scheme, port, path), fronted(port, context) as front:
        entry = {"url": f"{scheme}s://{host}:{front}{path}"}
        yield {**entry, "type": "sse"} if transport == "sse" else entry


@asynccontextmanager
async def fronted(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Put TLS before what listens at a port, and give the port of that."""
    joining: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        joining.add(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            source, sink = await asyncio.open_connection("127.0.0.1", port)
            pumps = [asyncio.ensure_future(pump(reader, sink)), asyncio.ensure_future(pump(source, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in pumps:
                    one.cancel()
                await asyncio.wait(pumps)
                sink.close()
        writer.transport.abort()

    front = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield front.sockets[0].getsockname()[1]
    finally:
        front.close()
        for _ in range(5):  # what was just accepted begins
            await asyncio.sleep(0)
        for task in joining:
            task.cancel()
        if joining:
            await asyncio.wait(joining)


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


async def fail(entry: Any, policy: dict[str, Any] | None = None, **options: Any) -> trunkline.CallError:
    settings = {"defaults": {"connect": 5, **(policy or {})}}
    async with trunkline.connect({"far": entry}, policy=settings, **options) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("far.echo", {"n": 1})
    assert caught.value.delivery == "never_sent"
    return caught.value


async def works(entry: Any, policy: dict[str, Any] | None = None, **options: Any) -> bool:
    settings = {"defaults": {"connect": 5, **(policy or {})}}
    async with trunkline.connect({"far": entry}, policy=settings, **options) as trunk:
        return (await trunk.call("far.echo", {"n": 1})).value == {"n": 1}


@TRANSPORTS
async def test_an_authority_that_is_named_is_trusted_and_no_other(
    authority: trustme.CA, ca_file: str, transport: str
):
    async with secured(echoing(), transport, serving(authority)) as entry:
        assert await works(entry, {"tls": {"ca": ca_file}})
        error = await fail(entry)
    assert error.code == "tls_untrusted"
    assert "authority that is not trusted" in error.message
    assert error.hint == 'Set `ca` in [servers."far".tls] to that authority\'s certificate, a PEM file.'


@TRANSPORTS
async def test_a_client_certificate_is_shown_where_the_server_wants_one(
    authority: trustme.CA, ca_file: str, tmp_path: Path, transport: str
):
    context = serving(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    ours = authority.issue_cert("client@example.com")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    async with secured(echoing(), transport, context) as entry:
        assert await works(entry, {"tls": {"ca": ca_file, "cert": str(tmp_path / "both.pem")}})
        pair = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
        assert await works(entry, {"tls": {"ca": ca_file, **pair}})


async def test_a_server_that_hangs_up_during_the_handshake_is_told(authority: trustme.CA, ca_file: str):
    context = serving(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with secured(echoing(), "http", context) as entry:
        assert await works(entry, {"tls": {"ca": ca_file}})
        error = await fail(entry, {"tls": {"ca": ca_file, "minimum": "1.3"}})
    assert (error.code, "`tls.cert`" in (error.hint or "")) == ("tls_refused", True)


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, ca_file: str):
    async with secured(echoing(), "http", serving(authority, "other.example")) as entry:
        error = await fail(entry, {"tls": {"ca": ca_file}})
    assert (error.code, "another name" in error.message) == ("tls_wrong_name", True)


@TRANSPORTS
async def test_a_certificate_that_has_expired_is_refused(authority: trustme.CA, ca_file: str, transport: str):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)).configure_cert(context)
    async with secured(echoing(), transport, context) as entry:
        error = await fail(entry, {"tls": {"ca": ca_file}})
    assert (error.code, "has expired" in error.message) == ("tls_expired", True)
    assert "clock" in (error.hint or "")


@TRANSPORTS
async def test_a_server_without_tls_is_told_from_one_that_is_down(transport: str):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        scheme = "wss" if transport == "websocket" else "https"
        entry = {"url": f"{scheme}://127.0.0.1:{port}/mcp"}
        error = await fail({**entry, "type": "sse"} if transport == "sse" else entry)
    assert error.code == "tls_not_spoken"
    assert error.hint == "Check the port, or write http:// or ws:// in its URL."


@TRANSPORTS
async def test_verification_is_off_only_where_it_is_switched_off_and_then_warns(
    authority: trustme.CA, transport: str, caplog: pytest.LogCaptureFixture
):
    async with secured(echoing(), transport, serving(authority)) as entry:
        with caplog.at_level(logging.WARNING, "trunkline.security"):
            assert await works(entry, {"tls": {"verify": False}})
    (record,) = [one for one in caplog.records if one.name == "trunkline.security"]
    assert "far: its certificate is not verified" in record.getMessage()
    assert record.server == "far"  # type: ignore[attr-defined]


@TRANSPORTS
async def test_a_context_of_the_application_replaces_the_settings(authority: trustme.CA, transport: str):
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    async with secured(echoing(), transport, serving(authority)) as entry:
        assert await works(entry, {"tls": {"ca": "missing.pem"}}, tls=ours)
        assert await works(entry, tls={"far": ours})
        assert (await fail(entry, tls={"near": ours})).code == "tls_untrusted"


async def test_a_renewed_authority_is_used_by_the_next_connection(authority: trustme.CA, tmp_path: Path):
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    policy = {"defaults": {"connect": 5, "tls": {"ca": str(file)}}}
    async with (
        secured(echoing(), "websocket", serving(authority)) as entry,
        trunkline.connect({"far": entry}, policy=policy) as trunk,
    ):
        with pytest.raises(trunkline.UnavailableError):
            await trunk.call("far.echo", {"n": 1})
        authority.cert_pem.write_to_path(file)
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(trunkline.UnavailableError):
                    assert (await trunk.call("far.echo", {"n": 1})).value == {"n": 1}
                    return
                await asyncio.sleep(0.01)


@TRANSPORTS
async def test_a_configured_proxy_is_used_with_and_without_tls(
    authority: trustme.CA, ca_file: str, transport: str
):
    async with HttpProxy() as proxy:
        async with secured(echoing(), transport, serving(authority)) as entry:
            assert await works(entry, {"tls": {"ca": ca_file}, "proxy": proxy.url})
            place = entry["url"].split("/")[2]
            assert set(proxy.requests) == {f"CONNECT {place}"}
        proxy.requests.clear()
        async with plain(echoing(), transport) as (scheme, port, path):
            plainly: dict[str, Any] = {"url": f"{scheme}://127.0.0.1:{port}{path}"}
            plainly |= {"type": "sse"} if transport == "sse" else {}
            assert await works(plainly, {"proxy": proxy.url})
            assert len(proxy.requests) >= 1
            assert all(f"127.0.0.1:{port}" in seen for seen in proxy.requests)


@TRANSPORTS
async def test_a_proxy_with_tls_is_trusted_as_the_server_is(
    authority: trustme.CA, ca_file: str, transport: str
):
    async with (
        HttpProxy() as proxy,
        fronted(proxy.port, serving(authority)) as port,
        secured(echoing(), transport, serving(authority)) as entry,
    ):
        way = {"proxy": f"https://127.0.0.1:{port}"}
        assert await works(entry, {"tls": {"ca": ca_file}, **way})
        assert set(proxy.requests) == {f"CONNECT {entry['url'].split('/')[2]}"}
        assert (await fail(entry, way)).code == "tls_untrusted"
        proxy.requests.clear()
        async with plain(echoing(), transport) as (scheme, bare, path):
            plainly = {"url": f"{scheme}://127.0.0.1:{bare}{path}"}
            plainly |= {"type": "sse"} if transport == "sse" else {}
            assert await works(plainly, {"tls": {"ca": ca_file}, **way})
        assert proxy.requests


@TRANSPORTS
async def test_a_proxy_gets_its_password_for_a_server_without_tls_and_nothing_shows_it(
    transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("PROXY_PASSWORD", "s3cret@/")
    records: list[Any] = []
    async with (
        HttpProxy(user="me", password="s3cret@/") as proxy,
        plain(echoing(), transport) as (scheme, port, path),
    ):
        entry = {"url": f"{scheme}://127.0.0.1:{port}{path}"} | (
            {"type": "sse"} if transport == "sse" else {}
        )
        way = {"proxy": f"http://me:${{PROXY_PASSWORD}}@127.0.0.1:{proxy.port}"}
        with caplog.at_level(logging.DEBUG):
            assert await works(entry, way, wire=records.append)
            monkeypatch.setenv("PROXY_PASSWORD", "another-one")
            error = await fail(entry, way, wire=records.append)
    assert (error.code, error.status) == ("proxy_authorization", 407)
    shown = "\n".join([str(error), repr(error), repr(error.__cause__), caplog.text, *map(str, records)])
    encoded = [base64.b64encode(f"me:{one}".encode()).decode() for one in ("s3cret@/", "another-one")]
    assert not [one for one in ("s3cret", "another-one", *encoded) if one in shown]


@TRANSPORTS
async def test_a_proxy_that_wants_a_password_gets_it_from_a_variable_and_nothing_shows_it(
    authority: trustme.CA,
    ca_file: str,
    transport: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    secret = "s3cret:@/?"
    monkeypatch.setenv("PROXY_PASSWORD", secret)
    records: list[Any] = []
    async with HttpProxy(user="me", password=secret) as proxy:
        way = {"proxy": f"http://me:${{PROXY_PASSWORD}}@127.0.0.1:{proxy.port}", "tls": {"ca": ca_file}}
        with caplog.at_level(logging.DEBUG):
            async with secured(echoing(), transport, serving(authority)) as entry:
                assert await works(entry, way, wire=records.append)
                monkeypatch.setenv("PROXY_PASSWORD", "another-one")
                error = await fail(entry, way)
    assert (error.code, error.status) == ("proxy_authorization", 407)
    assert "${PROXY_PASSWORD}" in (error.hint or "")
    shown = "\n".join([str(error), repr(error), caplog.text, *map(str, records)])
    assert "another-one" not in shown
    assert "s3cret" not in shown


async def test_a_proxy_that_is_down_or_refuses_is_told_from_the_server():
    entry = {"url": "https://far.example/mcp"}
    async with HttpProxy(refuses=503) as proxy:
        error = await fail(entry, {"proxy": proxy.url})
        assert (error.code, error.status, "HTTP 503" in error.message) == ("proxy_refused", 503, True)
        port = proxy.port
    error = await fail(entry, {"proxy": f"http://127.0.0.1:{port}"})
    assert error.code == "proxy_unreachable"
    assert f"127.0.0.1:{port}" in error.message
    assert "proxy" in (error.hint or "")


async def test_the_environment_names_a_proxy_unless_the_policy_says_none(monkeypatch: pytest.MonkeyPatch):
    entry = {"url": "http://far.example/mcp"}
    async with HttpProxy(refuses=502) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert (await fail(entry)).status == 502
        monkeypatch.setenv("NO_PROXY", "near.example, .example")
        assert (await fail(entry)).status is None
        monkeypatch.delenv("NO_PROXY")
        assert (await fail(entry, {"proxy": "none"})).status is None
    async with plain(echoing(), "http") as (scheme, port, path):
        assert await works({"url": f"{scheme}://127.0.0.1:{port}{path}"})


async def test_a_proxy_we_cannot_use_is_a_mistake_with_a_fix(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    error = await fail({"url": "https://far.example/mcp"})
    assert "socks5" in error.message
    assert 'proxy = "none"' in (error.hint or "")
