"""Servers that refuse our side of a TLS handshake: what each way to do it is called, over every transport."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

import trunkline
from trunkline.transport.network import cannot_connect, lost_connection

pytestmark = pytest.mark.anyio

TRANSPORTS = pytest.mark.parametrize("transport", ["http", "sse", "websocket"])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def entry(url: str, transport: str) -> dict[str, Any]:
    if transport == "websocket":
        return {"url": url.replace("https:", "wss:")}
    return {"url": url, "type": transport}


@contextmanager
def alerting(context: ssl.SSLContext, *, heard: bool = True) -> Iterator[str]:
    """A server that shakes hands as OpenSSL does by itself: it says why it refuses. Nothing comes after.

    Args:
        heard: whether it waits until that was read; else it resets the connection, and nothing is said.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    refuse(listener.accept()[0], context, heard=heard)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def refuse(accepted: socket.socket, context: ssl.SSLContext, *, heard: bool) -> None:
    accepted.settimeout(5)
    with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as secure:
        with contextlib.suppress(OSError):
            secure.do_handshake()
        with socket.socket(fileno=secure.detach()) as raw, contextlib.suppress(OSError):
            if heard:
                raw.settimeout(5)
                while raw.recv(65536):
                    pass
            else:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def fail(entry: Any, policy: dict[str, Any]) -> trunkline.CallError:
    settings = {"defaults": {"connect": 5, **policy}}
    async with trunkline.connect({"far": entry}, policy=settings) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("far.echo", {"n": 1})
    assert caught.value.delivery == "never_sent"
    return caught.value


@TRANSPORTS
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_certificate_says_so(
    authority: trustme.CA, ca_file: str, version: ssl.TLSVersion, transport: str
):
    context = serving(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    authority.configure_trust(context)
    with alerting(context) as url:
        error = await fail(entry(url, transport), {"tls": {"ca": ca_file}})
    assert error.code == "tls_client_certificate"
    assert error.hint == 'Set `cert` and `key` in [servers."far".tls].'


@TRANSPORTS
async def test_versions_below_the_minimum_are_not_spoken(authority: trustme.CA, ca_file: str, transport: str):
    context = serving(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with alerting(context) as url:
        error = await fail(entry(url, transport), {"tls": {"ca": ca_file, "minimum": "1.3"}})
    assert error.code == "tls_version"
    assert "`minimum`" in (error.hint or "")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_a_reset_after_the_handshake_is_told_with_what_it_may_mean(
    authority: trustme.CA, ca_file: str, transport: str
):
    with alerting(serving(authority), heard=False) as url:
        error = await fail(entry(url, transport), {"tls": {"ca": ca_file}})
    assert (error.code, "`tls.cert`" in (error.hint or "")) == ("tls_refused", True)


def test_an_error_about_the_url_of_a_proxy_does_not_repeat_it():
    refused = aiohttp.InvalidURL("http://me:s3cret@far")
    assert "s3cret" not in str(cannot_connect("far", "https://far.example/mcp", refused))
    assert "s3cret" not in str(lost_connection("far", "https://far.example/mcp", refused))
