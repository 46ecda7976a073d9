"""The public test kit: a fake MCP server with scripted tools, delays, errors, pages and faults.

It uses no MCP library. Importing it loads neither asyncio nor any package from outside the standard
library, because a fake that runs as a process starts in every test that needs one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.testing.asking import Ask, required_error
from trunkline.testing.fake import FakeServer, stdio_entry
from trunkline.testing.faults import Fault
from trunkline.testing.ledger import Journal, Ledger, Received
from trunkline.testing.script import Result, RpcError
from trunkline.testing.tasks import TaskScript

if TYPE_CHECKING:
    from trunkline.testing.account import Account, Balance
    from trunkline.testing.hostile import HOSTILE, hostile_server
    from trunkline.testing.laws import Promise, check_layer, check_middleware
    from trunkline.testing.mocking import MockedCall, MockTrunk, in_turn, mock
    from trunkline.testing.toxic_proxy import ToxicProxy
    from trunkline.testing.toxics import Toxic, Toxics
    from trunkline.testing.virtual_network import VirtualEndpoint, VirtualNetwork
    from trunkline.testing.virtual_time import DeadlockError, RealIOError, VirtualTimeLoop

__all__ = [
    "HOSTILE",
    "Account",
    "Ask",
    "Balance",
    "DeadlockError",
    "FakeServer",
    "Fault",
    "Journal",
    "Ledger",
    "MockTrunk",
    "MockedCall",
    "Promise",
    "RealIOError",
    "Received",
    "Result",
    "RpcError",
    "TaskScript",
    "Toxic",
    "ToxicProxy",
    "Toxics",
    "VirtualEndpoint",
    "VirtualNetwork",
    "VirtualTimeLoop",
    "check_layer",
    "check_middleware",
    "hostile_server",
    "in_turn",
    "mock",
    "required_error",
    "stdio_entry",
]

_HOMES = {
    **dict.fromkeys(("Account", "Balance"), "account"),
    "ToxicProxy": "toxic_proxy",
    **dict.fromkeys(("Toxic", "Toxics"), "toxics"),
    **dict.fromkeys(("VirtualEndpoint", "VirtualNetwork"), "virtual_network"),
    **dict.fromkeys(("HOSTILE", "hostile_server"), "hostile"),
    **dict.fromkeys(("Promise", "check_layer", "check_middleware"), "laws"),
    **dict.fromkeys(("MockTrunk", "MockedCall", "in_turn", "mock"), "mocking"),
    **dict.fromkeys(("DeadlockError", "RealIOError", "VirtualTimeLoop"), "virtual_time"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trunkline.testing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"trunkline.testing.{home}"), name)
    globals()[name] = value
    return value
