"""A link over one shared stream of frames: stdio, memory, and later WebSocket and HTTP+SSE.

Writing happens in the caller's task and reading in the stream's callbacks: no queue hop and no task
per call. A frame that cannot be written yet waits here, where a cancelled call can still take it
back; what has been handed to the stream counts as sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import UNSET

from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.errors import OutcomeUnknownError, ProtocolError, UnavailableError
from trunkline.protocol.eras import Era
from trunkline.protocol.frames import (
    IN_AN_ARRAY,
    Broken,
    Frame,
    decode_frame,
    decode_frames,
    encode_notification,
    recover_id,
)
from trunkline.protocol.lines import Endless, Oversized
from trunkline.protocol.multiplexer import Multiplexer
from trunkline.transport.bundling import join_bundle
from trunkline.transport.link import Inbox, Request, advance, report_log
from trunkline.transport.pace import Pacing
from trunkline.transport.share import SHARE, Share

Arrived = bytes | Oversized | Endless
"""One frame of the stream, or what is known of one that is too large."""
_MOST_WAITING = 1024
"""Messages that wait to be written before another one that has no answer has to wait itself."""
_BATCH_BYTES = 64 * 1024
"""Frames waiting together are written together up to this many bytes."""


class Exchange(msgspec.Struct, eq=False):
    """One request waiting for its answer on a shared stream."""

    flight: Flight
    future: asyncio.Future[Frame]

    def settle(self, frame: Frame) -> None:
        if not self.future.done():
            self.future.set_result(frame)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class StreamCore:
    """The correlation, ordering and failure rules of a shared stream; knows no pipe or socket.

    The owner gives `write`, which takes bytes at once, and calls `receive`, `pause`, `resume` and
    `lose` as its stream lives. Where `receive` leaves something for the next turn, it stops reading and
    calls `go_on`, or awaits `rest`, before it reads again.
    """

    shows_nothing = True
    """Whether no frame has to pass `take` on its way."""

    def __init__(self, server: str, limits: Limits, write: Callable[[bytes], None]) -> None:
        self._server = server
        self._limits = limits
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._exchanges: Multiplexer[Exchange] = Multiplexer()
        self._outbox: deque[tuple[bytes, Flight | None]] = deque()
        self._room = asyncio.Event()
        self._paused = False
        self._flush_scheduled = False
        self._batches = False
        self._plain = self.shows_nothing
        self._logs_on_request = False
        self._lost: asyncio.Future[str] = self._loop.create_future()
        self.share = Share()
        """Counts what came and nobody asked for."""
        self._left: deque[Arrived] = deque()
        self._batch: Iterator[tuple[Frame | Broken, int]] | None = None
        self._is_refused = False
        """Whether the messages of the batch count for nothing, but that requests they answer fail."""
        self.inbox = Inbox()
        self.lost = False
        """Whether the stream has ended."""
        self.heard = False
        """Whether the peer has said anything."""
        self.noise = 0
        """Frames that were neither answers of ours nor usable messages."""
        self.next_id = self._exchanges.next_id

    @property
    def strays(self) -> int:
        """Answers that matched no waiting exchange."""
        return self._exchanges.strays

    def adopt(self, era: Era) -> None:
        """Read batches only where the era has them, and attribute logs only where a request asks for them."""
        self._batches = era.batches
        self._plain = self.shows_nothing and not era.batches
        self._logs_on_request = era.family == "modern"

    async def request(self, request: Request) -> Frame:
        """Send one request and wait for its response; see `Link.request`."""
        if self.lost:
            raise UnavailableError(
                f"the server is gone ({self._lost.result()})", server=self._server, delivery="never_sent"
            )
        exchange = Exchange(request.flight, self._loop.create_future())
        if request.standing:
            self._exchanges.stand(request.id, exchange)
        else:
            self._exchanges.open(request.id, exchange)
        self._send(request.body, request.flight)
        try:
            return await exchange.future
        except asyncio.CancelledError:
            self._abandon(request)
            raise

    def notify(self, body: bytes) -> None:
        """Send a message that has no answer; dropped when the stream is gone."""
        if not self._lost.done():
            self._send(body, None)

    async def deliver(self, body: bytes) -> None:
        """Send a message that has no answer, once fewer than a thousand others wait for the peer to read."""
        while len(self._outbox) >= _MOST_WAITING and not self._lost.done():
            self._room.clear()
            await self._room.wait()
        self.notify(body)

    def pause(self) -> None:
        """The stream takes no more bytes for now."""
        self._paused = True

    def resume(self) -> None:
        """The stream takes bytes again."""
        self._paused = False
        self._flush()

    async def wait_lost(self) -> str:
        """Wait until the stream has ended; give the reason."""
        return await asyncio.shield(self._lost)

    def lose(self, reason: str) -> None:
        """The stream has ended: every exchange on it fails with what is true of its delivery."""
        if self._lost.done():
            return
        self.lost = True
        self._lost.set_result(reason)
        self._outbox.clear()
        self._room.set()
        self._left.clear()
        self._batch = None
        for exchange in self._exchanges.take_all():
            exchange.fail(self._loss_of(exchange, reason))
        self.inbox.close()

    @property
    def paused(self) -> bool:
        """Whether the stream takes no more bytes for now."""
        return self._paused

    @property
    def behind(self) -> bool:
        """Whether others are to have a turn before more is read."""
        return self.share.taken >= SHARE or bool(self._left) or self._batch is not None

    def receive(self, frames: Iterable[Arrived]) -> bool:
        """Take the frames that have arrived; what is above the share of a turn is left: gives `behind`."""
        self.heard = True
        share = self.share
        for data in frames:
            if share.taken >= SHARE or self._left or self._batch is not None:
                self._left.append(data)
            elif self._plain and type(data) is bytes:
                self._route(decode_frame(data, self._limits), len(data))
            else:
                self.take(data)
        return share.taken >= SHARE or bool(self._left) or self._batch is not None

    def go_on(self) -> None:
        """Others have had a turn: take what was left."""
        self.share.renew()
        self._go_through_batch()
        while self._left and self._batch is None and self.share.taken < SHARE:
            self.take(self._left.popleft())

    async def rest(self, pacing: Pacing) -> None:
        """Let others have turns until nothing is left, and more turns where nobody asked for so much."""
        while self.behind:
            await asyncio.sleep(0)
            began = self._loop.time()
            self.go_on()
            pacing.spent += self._loop.time() - began
            if pacing.due:
                await pacing.rest()

    def take(self, data: Arrived) -> None:
        """Take one frame."""
        if type(data) is bytes:
            if self._batches and data.lstrip()[:1] == b"[":
                self._begin_batch(data, refused=False)
            else:
                self._route(decode_frame(data, self._limits), len(data))
        elif isinstance(data, Oversized):
            self._refuse_oversized(data)
        else:
            self.lose(f"it sent a frame of over {2 * self._limits.frame_bytes:,} bytes without end")

    def catch_up(self) -> None:
        """Take all that was left at once: the stream is about to end."""
        while self.behind:
            self.go_on()

    def finish(self, rest: bytes) -> None:
        """The stream ended on bytes without a newline: a whole message counts, half a one is lost with it."""
        self.catch_up()
        batch = [frame for frame, _ in decode_frames(rest, self._limits, batches=self._batches)]
        if not all(isinstance(frame, Broken) for frame in batch):
            self.receive([rest])
            self.catch_up()
        elif rest:
            self.noise += 1

    def _begin_batch(self, data: bytes, *, refused: bool) -> None:
        self._batch, self._is_refused = iter(decode_frames(data, self._limits)), refused
        self._go_through_batch()

    def _go_through_batch(self) -> None:
        while self._batch is not None and self.share.taken < SHARE:
            part = next(self._batch, None)
            if part is None:
                self._batch = None
            elif self._is_refused:
                self._refuse(*part)
            else:
                self._route(*part)

    def _refuse(self, frame: Frame | Broken, size: int) -> None:
        """Take a message of an array where the revision has none: only who waits for it is told."""
        is_answer = isinstance(frame, Broken) or frame.method is UNSET
        if is_answer and isinstance(frame.id, int) and self._exchanges.get(frame.id) is not None:
            self._fail_broken(Broken(reason=IN_AN_ARRAY, id=frame.id))
        else:
            self.share.take(size)

    def _route(self, frame: Frame | Broken, size: int) -> None:
        if isinstance(frame, Broken):
            self._fail_broken(frame)
        elif frame.method is UNSET:
            if (exchange := self._exchanges.take(frame.id)) is not None:
                exchange.settle(frame)
            else:
                self.share.take(size)
        elif frame.method == "notifications/progress" and isinstance(frame.params, dict):
            self.share.take(size)
            if (waiting := self._exchanges.get(frame.params.get("progressToken"))) is not None:
                advance(waiting.flight, frame.params, self._loop.time())
        else:
            self.share.take(size)
            if self._logs_on_request and frame.method == "notifications/message":
                self._attribute_log(frame)
            self.inbox.put(frame, size)

    def _attribute_log(self, frame: Frame) -> None:
        """A log message names no request: it belongs to the one exchange that asked, if only one did.

        Source: specification 2026-07-28, server/utilities/logging: none may be sent unless asked for.
        """
        asked = [exchange.flight for exchange in self._exchanges if exchange.flight.on_log is not None]
        if len(asked) == 1:
            report_log(asked[0], frame.params)

    def _fail_broken(self, broken: Broken) -> None:
        if broken.array is not None and self._batch is None:
            self.noise += 1
            self._begin_batch(broken.array, refused=True)
            return
        exchange = self._exchanges.take(broken.id) if broken.id is not None else None
        if exchange is None:
            self.noise += 1
            self.share.take(0)
            return
        exchange.fail(
            ProtocolError(
                f"the answer cannot be read: {broken.reason}",
                code="malformed_answer",
                server=self._server,
                delivery="unknown",
                hint="The tool may have run; report the malformed answer to the server's author.",
            )
        )

    def _refuse_oversized(self, frame: Oversized) -> None:
        request_id = recover_id(frame.head, frame.tail)
        # Guessed while it arrives, not at its end: what is in flight then may have been sent after it began.
        if request_id is None and not frame.ended and b'"method"' not in frame.head[:256]:
            request_id = self._exchanges.only()
        exchange = self._exchanges.take(request_id) if self._exchanges.get(request_id) else None
        if exchange is None:
            self.noise += frame.ended
            self.share.take(0)
            return
        exchange.fail(oversized(self._server, self._limits.frame_bytes))

    def _loss_of(self, exchange: Exchange, reason: str) -> Exception:
        if exchange.flight.delivery == "never_sent":
            return UnavailableError(
                f"the server is gone ({reason})", server=self._server, delivery="never_sent"
            )
        return OutcomeUnknownError(
            f"the connection was lost before the answer ({reason})",
            server=self._server,
            hint="The tool may have run; check its effect before calling again.",
        )

    def _abandon(self, request: Request) -> None:
        self._exchanges.forget(request.id)
        if request.flight.delivery == "never_sent":
            self._outbox = deque(item for item in self._outbox if item[1] is not request.flight)
        elif request.method != "initialize":
            params = {"requestId": request.id, "reason": request.flight.cancel_reason}
            self.notify(encode_notification("notifications/cancelled", params))

    def _send(self, body: bytes, flight: Flight | None) -> None:
        bundled = flight is not None and flight.bundle is not None
        if self._paused or self._outbox or len(self._exchanges) > 1 or bundled:
            self._outbox.append((body, flight))
            if not self._paused and not self._flush_scheduled:
                self._flush_scheduled = True
                self._loop.call_soon(self._flush)
            return
        if flight is not None:
            flight.delivery = "unknown"
        self._write(body + b"\n")

    def _flush(self) -> None:
        self._flush_scheduled = False
        outbox, now = self._outbox, self._loop.time()
        while outbox and not self._paused and not self._lost.done():
            batch: list[bytes] = []
            size = 0
            while outbox and size < _BATCH_BYTES:
                body, flight = outbox.popleft()
                if flight is not None:
                    flight.delivery = "unknown"
                    if not flight.wrote:
                        flight.wrote = now
                        flight.queued += now - flight.sent
                    if flight.bundle is not None:
                        body = join_bundle(body, flight.bundle, outbox, now)
                batch.append(body)
                size += len(body)
            batch.append(b"")
            self._write(b"\n".join(batch))
        self._room.set()


def oversized(server: str, max_bytes: int) -> ProtocolError:
    """Give the error of an answer that is larger than the limit."""
    return ProtocolError(
        f"the answer is larger than the limit of {max_bytes:,} bytes",
        code="answer_too_large",
        server=server,
        delivery="unknown",
        hint="The tool has probably run; ask it for less, or raise limits.frame_bytes for this server.",
    )
