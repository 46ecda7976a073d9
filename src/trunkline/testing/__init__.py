"""The public test kit: a fake MCP server with scripted tools, delays, errors, pages and faults.

It uses no MCP library. Importing it loads neither asyncio nor any package from outside the standard
library, because a fake that runs as a process starts in every test that needs one.
"""

from __future__ import annotations

from trunkline.testing.asking import Ask, required_error
from trunkline.testing.fake import FakeServer, stdio_entry
from trunkline.testing.faults import Fault
from trunkline.testing.ledger import Journal, Ledger, Received
from trunkline.testing.script import Result, RpcError

__all__ = [
    "Ask",
    "FakeServer",
    "Fault",
    "Journal",
    "Ledger",
    "Received",
    "Result",
    "RpcError",
    "required_error",
    "stdio_entry",
]
