"""Lease for code that does not await: one connection for one holder alone."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from trunkline.runtime.lease import Lease as AsyncLease
from trunkline.sync.calling import Calling
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class Lease(Calling):
    """One connection for one holder, between entering and leaving `with`; made by `Trunk.lease`."""

    _trunk: AsyncLease

    def __init__(self, thread: LoopThread, lease: AsyncLease) -> None:
        self._thread = thread
        self._trunk = lease

    def __enter__(self) -> Self:
        self._thread.run(self._trunk.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(lambda: self._trunk.__aexit__(kind, error, trace))

    @property
    def server(self) -> str:
        """Configured name of the server."""
        return self._trunk.server

    @property
    @mirrors(AsyncLease.lost)
    def lost(self) -> bool:
        return self._thread.ask(lambda: self._trunk.lost)
