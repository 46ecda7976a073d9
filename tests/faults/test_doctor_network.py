"""The doctor on the way to a URL: proxy, DNS, TCP and TLS, each broken for real."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from trunkline.config.loading import load
from trunkline.runtime.doctor import way
from trunkline.runtime.doctor.checkup import Checkup, Trouble
from trunkline.runtime.doctor.examine import examine
from trunkline.testing import FakeServer
from trunkline.testing.http_proxy import HttpProxy
from trunkline.transport import http

assert http  # importing it takes longer than some tests may wait
pytestmark = pytest.mark.anyio

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


async def checked(entry: Any, policy: dict[str, Any] | None = None, **options: Any) -> Checkup:
    config = load({"far": entry}, policy={"defaults": {"connect": 20, **(policy or {})}}, profile="")
    (checkup,) = await examine(config, **options)
    return checkup


async def sick(entry: Any, policy: dict[str, Any] | None = None, **options: Any) -> tuple[Trouble, Checkup]:
    """Examine a server that fails in one phase, and check that nothing behind it was reached."""
    checkup = await checked(entry, policy, **options)
    trouble = checkup.failure
    assert trouble is not None
    names = [phase.name for phase in checkup.phases]
    at = names.index(trouble.phase)
    assert checkup.phases[at].outcome == "failed"
    assert {phase.outcome for phase in checkup.phases[:at]} <= {"ok", "skipped"}
    assert {phase.outcome for phase in checkup.phases[at + 1 :]} == {"not_reached"}
    return trouble, checkup


def outcomes(checkup: Checkup) -> dict[str, str]:
    return {phase.name: phase.outcome for phase in checkup.phases}


def details(checkup: Checkup) -> dict[str, str]:
    return {phase.name: phase.detail for phase in checkup.phases}


def serving(authority: trustme.CA, *names: str, **issued: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **issued).configure_cert(context)
    return context


@asynccontextmanager
async def secured(context: ssl.SSLContext, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Put TLS before a fake server and give its URL."""
    joining: set[asyncio.Task[Any]] = set()
    server = FakeServer()
    server.tool("echo", reports="arguments")
    async with server.http() as url:
        port, _, path = url.rpartition(":")[2].partition("/")

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            joining.add(asyncio.current_task())  # type: ignore[arg-type]
            with contextlib.suppress(OSError, asyncio.CancelledError):
                source, sink = await asyncio.open_connection("127.0.0.1", int(port))
                pumps = [
                    asyncio.ensure_future(pump(reader, sink)),
                    asyncio.ensure_future(pump(source, writer)),
                ]
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
            yield f"https://{host}:{front.sockets[0].getsockname()[1]}/{path}"
        finally:
            front.close()
            for _ in range(5):  # what was just accepted begins
                await asyncio.sleep(0)
            if joining:  # their clients are gone, so they end by themselves
                _, late = await asyncio.wait(joining, timeout=5)
                assert not late


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


@contextmanager
def listening(*, accepts: bool) -> Iterator[int]:
    """Give a port where connections are made and nothing is said, or, full as it is, not even made."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=8 if accepts else 0))
        port = listener.getsockname()[1]
        for _ in range(0 if accepts else 3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_host_that_does_not_exist_fails_in_dns(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    trouble, checkup = await sick({"url": "https://far.example/mcp"})
    assert (trouble.phase, trouble.code) == ("dns", "dns_not_found")
    assert trouble.message == "there is no host 'far.example' (Name or service not known)"
    assert trouble.command == "getent hosts far.example"
    assert details(checkup)["proxy"] == "none"


async def test_a_name_server_that_is_silent_is_told_in_time(monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    try:
        trouble, checkup = await sick({"url": "https://far.example/mcp"}, timeout=0.5)
    finally:
        released.set()
    assert (trouble.phase, trouble.code) == ("dns", "dns_timeout")
    assert checkup.seconds < 10


async def test_a_closed_port_fails_in_tcp():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    trouble, checkup = await sick({"url": f"http://127.0.0.1:{port}/mcp"})
    assert (trouble.phase, trouble.code) == ("tcp", "connect_failed")
    assert trouble.message == f"cannot connect to 127.0.0.1:{port} (Connection refused)"
    assert trouble.command == f"nc -vz 127.0.0.1 {port}"
    assert details(checkup)["dns"] == "127.0.0.1"


async def test_a_black_hole_fails_in_tcp_within_its_time():
    with listening(accepts=False) as port:
        trouble, checkup = await sick({"url": f"https://127.0.0.1:{port}/mcp"}, timeout=0.5)
    assert (trouble.phase, trouble.code) == ("tcp", "tcp_timeout")
    assert trouble.message == f"127.0.0.1:{port} did not answer within 0.5 s"
    assert 0.5 <= checkup.seconds < 10


async def test_one_address_of_several_is_enough(monkeypatch: pytest.MonkeyPatch):
    server = FakeServer()
    async with server.http() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        both = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.9.9.9", "127.0.0.1")
        ]
        found = socket.getaddrinfo

        def look_up(host: str, *rest: Any, **more: Any) -> Any:
            return both if host == "localhost" else found(host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        checkup = await checked({"url": url.replace("127.0.0.1", "localhost")})
    assert details(checkup)["dns"] == "127.9.9.9, 127.0.0.1"
    assert details(checkup)["tcp"] == f"127.0.0.1 port {port}"


async def test_a_way_with_tls_is_told_with_version_and_end(authority: trustme.CA, ca_file: str):
    async with secured(serving(authority)) as url:
        checkup = await checked({"url": url}, {"tls": {"ca": ca_file}}, today=0.0)
    assert checkup.ok, checkup.troubles
    assert set(outcomes(checkup).values()) == {"ok"}
    assert details(checkup)["tls"].startswith("TLSv1.3, certificate until 3000-01-01")
    assert checkup.troubles == ()


async def test_an_expired_certificate_fails_in_tls_and_says_since_when(authority: trustme.CA, ca_file: str):
    past = datetime(2020, 1, 31, tzinfo=UTC)
    async with secured(serving(authority, not_after=past)) as url:
        trouble, _ = await sick({"url": url}, {"tls": {"ca": ca_file}})
    assert (trouble.phase, trouble.code) == ("tls", "tls_expired")
    assert trouble.cause.endswith("to 2020-01-31.")
    assert "renew" in trouble.fix


async def test_a_certificate_for_another_name_says_for_which(authority: trustme.CA, ca_file: str):
    async with secured(serving(authority, "other.example", "third.example")) as url:
        trouble, _ = await sick({"url": url}, {"tls": {"ca": ca_file}})
    assert (trouble.phase, trouble.code) == ("tls", "tls_wrong_name")
    assert trouble.cause == "The certificate is for other.example, third.example."


async def test_an_authority_that_is_not_trusted_fails_in_tls(authority: trustme.CA):
    async with secured(serving(authority)) as url:
        trouble, _ = await sick({"url": url})
    port = url.rpartition(":")[2].partition("/")[0]
    assert (trouble.phase, trouble.code) == ("tls", "tls_untrusted")
    assert trouble.fix == 'Set `ca` in [servers."far".tls] to that authority\'s certificate, a PEM file.'
    assert trouble.command == (
        f"openssl s_client -connect 127.0.0.1:{port} -servername 127.0.0.1 -showcerts </dev/null"
    )


async def test_a_certificate_that_expires_soon_is_a_warning(authority: trustme.CA, ca_file: str):
    soon = datetime.now(UTC) + timedelta(days=5)
    async with secured(serving(authority, not_after=soon)) as url:
        checkup = await checked({"url": url}, {"tls": {"ca": ca_file}}, today=datetime.now(UTC).timestamp())
    assert checkup.ok
    (warning,) = checkup.troubles
    assert (warning.severity, warning.code) == ("warning", "certificate_expires_soon")
    assert soon.strftime("%Y-%m-%d") in warning.message


async def test_a_client_certificate_that_is_wanted_is_a_matter_of_tls(authority: trustme.CA, ca_file: str):
    context = serving(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    async with secured(context) as url:
        trouble, _ = await sick({"url": url}, {"tls": {"ca": ca_file}})
    # With TLS 1.3 a server says so only after the handshake, if it says anything at all.
    assert trouble.phase == "tls"
    assert trouble.code in ("tls_client_certificate", "tls_refused")


async def test_a_server_that_does_not_speak_tls_is_told():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        trouble, _ = await sick({"url": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"})
    assert (trouble.phase, trouble.code) == ("tls", "tls_not_spoken")
    assert "http://" in trouble.fix


async def test_a_handshake_that_is_never_answered_fails_in_tls():
    with listening(accepts=True) as port:
        trouble, _ = await sick({"url": f"https://127.0.0.1:{port}/mcp"}, timeout=0.5)
    assert (trouble.phase, trouble.code) == ("tls", "tls_timeout")


async def test_authorities_that_take_long_to_read_leave_no_connection_behind(monkeypatch: pytest.MonkeyPatch):
    """A connection that nobody closes would fail this test with a ResourceWarning."""
    monkeypatch.setattr(way, "default_context", asyncio.Event().wait)
    with listening(accepts=True) as port:
        trouble, _ = await sick({"url": f"https://127.0.0.1:{port}/mcp"}, timeout=0.1)
    assert trouble.code.endswith("_timeout")


async def test_a_proxy_is_examined_by_itself(authority: trustme.CA, ca_file: str):
    async with HttpProxy() as proxy, secured(serving(authority)) as url:
        checkup = await checked({"url": url}, {"tls": {"ca": ca_file}, "proxy": proxy.url})
        place = url.split("/")[2]
        assert checkup.ok, checkup.troubles
        assert set(proxy.requests) == {f"CONNECT {place}"}
    assert details(checkup)["proxy"] == f"127.0.0.1:{proxy.port}, of trunkline.toml"
    assert outcomes(checkup)["dns"] == outcomes(checkup)["tcp"] == "skipped"
    assert details(checkup)["tls"].startswith("TLSv1.3")


@pytest.mark.parametrize(("status", "code"), [(503, "proxy_refused"), (407, "proxy_authorization")])
async def test_a_proxy_that_refuses_fails_as_such(status: int, code: str, monkeypatch: pytest.MonkeyPatch):
    async with HttpProxy(refuses=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        trouble, _ = await sick({"url": "https://far.example/mcp"})
    assert (trouble.phase, trouble.code) == ("proxy", code)
    if code == "proxy_refused":
        assert trouble.command == 'export NO_PROXY="${NO_PROXY:+$NO_PROXY,}far.example"'


async def test_a_proxy_that_refuses_a_request_without_tls_fails_as_such():
    async with HttpProxy(user="me", password="secret") as proxy:
        trouble, _ = await sick({"url": "http://far.example/mcp"}, {"proxy": proxy.url})
    assert (trouble.phase, trouble.code) == ("proxy", "proxy_authorization")


async def test_a_proxy_that_is_gone_is_told_with_who_names_it():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    trouble, _ = await sick({"url": "https://far.example/mcp"}, {"proxy": f"http://127.0.0.1:{port}"})
    assert (trouble.phase, trouble.code) == ("proxy", "proxy_unreachable")
    assert trouble.message == f"cannot connect to the proxy 127.0.0.1:{port} (Connection refused)"
    assert "trunkline.toml" in (trouble.command or "")


async def test_a_proxy_that_is_silent_fails_as_such():
    with listening(accepts=True) as port:
        trouble, _ = await sick(
            {"url": "https://far.example/mcp"}, {"proxy": f"http://127.0.0.1:{port}"}, timeout=0.5
        )
    assert (trouble.phase, trouble.code) == ("proxy", "proxy_timeout")


async def test_the_password_of_a_proxy_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROXY_PASSWORD", "s3cret-word")
    async with HttpProxy(user="me", password="another") as proxy:
        way = {"proxy": f"http://me:${{PROXY_PASSWORD}}@127.0.0.1:{proxy.port}"}
        trouble, checkup = await sick({"url": "https://far.example/mcp"}, way)
    assert trouble.code == "proxy_authorization"
    assert "s3cret" not in str(checkup)


async def test_all_addresses_that_fail_are_closed_and_the_refusal_is_what_is_told(
    monkeypatch: pytest.MonkeyPatch,
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    trouble, _ = await sick({"url": f"http://far.example:{port}/mcp"})
    assert trouble.message == f"cannot connect to far.example:{port} (Connection refused)"
