"""A call under way, for code that does not await."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.core.call import Progress
from trunkline.core.reply import Reply
from trunkline.errors import Delivery
from trunkline.runtime.feed import Feed
from trunkline.runtime.handle import Handle as AsyncHandle
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class ProgressView:
    """The progress of one call, for `for`; several readers may follow it, each from what is kept."""

    def __init__(self, thread: LoopThread, feed: Feed[Progress]) -> None:
        self._thread = thread
        self._feed = feed

    @property
    def dropped(self) -> int:
        """How many reports made place for newer ones before any reader had seen them."""
        return self._feed.dropped

    def __iter__(self) -> Iterator[Progress]:
        reader = aiter(self._feed)
        while (report := self._thread.run(lambda: anext(reader, None))) is not None:
            yield report


class Handle:
    """One call under way, made by `Trunk.start`; `result()` waits for its Reply.

    Any number of threads may wait, and the call goes on until it is answered, fails, is cancelled, or
    the trunk is closed. Only an interrupted `result()` (Ctrl-C) cancels it.
    """

    def __init__(self, thread: LoopThread, handle: AsyncHandle, owner: object) -> None:
        self._thread = thread
        self._handle = handle
        self._owner = owner  # a trunk nobody holds ends its calls
        self.call_id = handle.call_id
        self.tool = handle.tool
        self.progress = ProgressView(thread, handle.progress)

    @property
    @mirrors(AsyncHandle.done)
    def done(self) -> bool:
        return self._handle.done

    @property
    @mirrors(AsyncHandle.delivery)
    def delivery(self) -> Delivery:
        return self._handle.delivery

    @mirrors(AsyncHandle.cancel)
    def cancel(self, reason: str = "the caller cancelled the call") -> bool:
        return self._thread.ask(lambda: self._handle.cancel(reason))

    def result(self) -> Reply:
        """Wait for the end of the call and give its reply.

        Raises:
            CallError: the call failed, or the trunk was closed before it ended.
            concurrent.futures.CancelledError: it was cancelled.
        """
        try:
            return self._thread.run(self._handle.result)
        except KeyboardInterrupt:
            self.cancel("the user interrupted the call")
            raise
