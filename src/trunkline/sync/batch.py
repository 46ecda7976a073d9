"""Calls that leave together, for code that does not await."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from trunkline.runtime.batch import Batch as AsyncBatch
from trunkline.runtime.batch import BatchedCall as AsyncBatchedCall
from trunkline.sync.handle import Handle
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class BatchedCall(Handle):
    """One call of a batch; `result()` gives its Reply, and within the block sends what is collected."""

    _handle: AsyncBatchedCall

    @mirrors(AsyncBatchedCall.cancel)
    def cancel(self, reason: str = "the caller cancelled the call") -> bool:
        return self._thread.ask(lambda: self._handle.cancel(reason))


class Batch:
    """Collects calls within `with`, made by `Trunk.batch`; leaving the block sends them and waits."""

    def __init__(self, thread: LoopThread, batch: AsyncBatch, owner: object) -> None:
        self._thread = thread
        self._batch = batch
        self._owner = owner  # a trunk nobody holds ends its calls

    def __enter__(self) -> Self:
        self._thread.run(self._batch.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(lambda: self._batch.__aexit__(kind, error, trace))

    @mirrors(AsyncBatch.call)
    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> BatchedCall:
        handle = self._thread.ask(lambda: self._batch.call(tool, arguments, timeout=timeout))
        return BatchedCall(self._thread, handle, self)

    @mirrors(AsyncBatch.send)
    def send(self) -> None:
        self._thread.ask(self._batch.send)
