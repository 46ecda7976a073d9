"""What the lab asks of a client library: a class that connects, and a session that calls tools."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long the application is willing to wait; a client gets it in the way its library has for that."""

    connect: float = 3.0
    """Seconds until a server is connected."""
    call: float = 2.0
    """Seconds until a call is answered."""
    longest_connect: float = 20.0
    """Seconds after which a client that connects counts as hanging; the SDK's probes for 10 at least."""
    longest_call: float = 5.0
    """Seconds after which a client that calls counts as hanging."""
    longest_close: float = 12.0
    """Seconds after which a client that closes counts as hanging."""


class Session(Protocol):
    """Connected servers."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool and give the text of its result; anything but a good result raises."""
        ...


class Client(Protocol):
    """One client library, used as its own documentation shows."""

    name: str
    """What heads its column."""

    def version(self) -> str:
        """Give the version of the library, having imported it.

        Raises:
            ImportError: it is not installed.
        """
        ...

    def connect(
        self, servers: Mapping[str, Mapping[str, Any]], patience: Patience
    ) -> AbstractAsyncContextManager[Session]:
        """Connect the servers and close them at the end of the block.

        Args:
            servers: entries as in `mcp.json`, by name: `command`, `args` and `env`, or `url`.
            patience: give it to the library wherever that takes a timeout, and wait for nothing yourself.
        """
        ...


def load_client(target: str) -> Client:
    """Make the client that `MODULE:CLASS` or `PATH.py:CLASS` names.

    Raises:
        ValueError: it names nothing that can be a client.
    """
    where, _, attribute = target.rpartition(":")
    if not where:
        raise ValueError(f"{target!r} is not MODULE:CLASS or PATH.py:CLASS")
    module = _load_file(where) if where.endswith(".py") else importlib.import_module(where)
    try:
        client: Client = getattr(module, attribute)()
    except AttributeError:
        raise ValueError(f"{where} has no {attribute!r}") from None
    if not (isinstance(getattr(client, "name", None), str) and callable(getattr(client, "connect", None))):
        raise ValueError(f"{target} is no client: it needs `name`, `version` and `connect`")
    return client


def _load_file(where: str) -> Any:
    path = Path(where)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"there is no file {where}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
