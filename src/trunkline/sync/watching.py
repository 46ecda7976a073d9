"""Events and subscriptions for code that does not await: iterators that wait in the calling thread."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from trunkline.core.events import Event, ResourceUpdated
from trunkline.runtime.events import Watch as AsyncWatch
from trunkline.supervision.subscription import Subscription as AsyncSubscription
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors

Kind = TypeVar("Kind", bound=Event)


class Watch(Generic[Kind]):
    """One watcher's view of what happens, for `for`; made by `Trunk.events`.

    It sees what happens from its making on and ends with the trunk. A watcher slower than its servers
    loses the oldest events, and holds nobody up.
    """

    def __init__(self, thread: LoopThread, watch: AsyncWatch[Kind], owner: object) -> None:
        self._thread = thread
        self._watch = watch
        self._owner = owner  # a trunk nobody holds ends its watches

    @property
    def dropped(self) -> int:
        """How many events made place for newer ones before they were read."""
        return self._watch.dropped

    def __iter__(self) -> Iterator[Kind]:
        while (event := self._thread.run(lambda: anext(self._watch, None))) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @mirrors(AsyncWatch.close)
    def close(self) -> None:
        self._thread.ask(self._watch.close)

    @property
    @mirrors(AsyncWatch.ended)
    def ended(self) -> bool:
        return self._watch.ended


class Subscription:
    """Tells when a resource changes, for `for`; use it in `with`, or `close` it.

    As the one of the asynchronous library.
    """

    def __init__(self, thread: LoopThread, subscription: AsyncSubscription, owner: object) -> None:
        self._thread = thread
        self._subscription = subscription
        self._owner = owner
        self.server = subscription.server
        self.uri = subscription.uri

    def __iter__(self) -> Iterator[ResourceUpdated]:
        while (event := self._thread.run(lambda: anext(self._subscription, None))) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @mirrors(AsyncSubscription.close)
    def close(self) -> None:
        self._thread.ask(self._subscription.close)
