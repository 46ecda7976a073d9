"""A connection to a control server, from the first byte to the welcome; blocking, and bounded in time."""

from __future__ import annotations

import socket
from typing import Self

import msgspec

from trunkline.errors import ConfigError
from trunkline.runtime.control_errors import decode_error
from trunkline.runtime.control_messages import VERSION, Failure, Hello, Response, Shutdown, Welcome
from trunkline.runtime.control_peer import is_same_user

_GREETING = 2.0
"""Seconds the server may take to welcome a client."""

_decode = msgspec.json.Decoder(Response).decode
_encode = msgspec.json.Encoder().encode


class ControlLink:
    """A connection that a server has welcomed; blocking until an event loop takes it over."""

    def __init__(self, link: socket.socket, pid: int) -> None:
        self.link = link
        self.pid = pid
        """The server's process."""

    @classmethod
    def open(cls, path: str, digest: str | None) -> Self:
        """Connect to the control server at `path` and show it the digest of our configuration.

        Args:
            digest: None to inspect only, whatever the configuration.

        Raises:
            OSError: nobody answers there, or not in time (`TimeoutError`).
            ConfigError: the server's protocol or configuration is another one.
        """
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(_GREETING)
            link.connect(path)
            if not is_same_user(link):
                raise ConnectionRefusedError("the process there belongs to another user")
            hello = Hello(id=0, version=VERSION, digest=digest or "", inspects=digest is None)
            link.sendall(_encode(hello) + b"\n")
            return cls(link, _read_welcome(link).pid)
        except BaseException:
            link.close()
            raise

    def ask_to_end(self) -> None:
        """Ask the process to end; it has begun to when this returns."""
        self.link.sendall(_encode(Shutdown(id=1)) + b"\n")
        self.link.recv(1)

    def close(self) -> None:
        """End the connection; the server cancels what was asked over it."""
        self.link.close()


def _read_welcome(link: socket.socket) -> Welcome:
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (chunk := link.recv(65536)):
            raise ConnectionResetError("the process there does not answer")
        line += chunk
    try:
        response = _decode(bytes(line))
    except msgspec.MsgspecError as error:
        raise ConfigError("the process there speaks another protocol") from error
    if isinstance(response, Welcome) and response.version == VERSION:
        return response
    raise decode_error(response.error) if isinstance(response, Failure) else ConfigError("not welcome")
