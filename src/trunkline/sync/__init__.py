"""The same library for code that does not await: plain scripts, threads and notebooks.

`connect` and every method of what it gives have the names, parameters and meaning of the asynchronous
ones; they block until there is a result, and streams become iterators.
"""

from __future__ import annotations

from trunkline.sync.batch import Batch, BatchedCall
from trunkline.sync.callable import ToolFunction
from trunkline.sync.connect import connect
from trunkline.sync.handle import Handle
from trunkline.sync.lease import Lease
from trunkline.sync.task_handle import TaskHandle
from trunkline.sync.trunk import Trunk

__all__ = ["Batch", "BatchedCall", "Handle", "Lease", "TaskHandle", "ToolFunction", "Trunk", "connect"]
