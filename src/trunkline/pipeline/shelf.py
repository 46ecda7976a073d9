"""The part of the cache that belongs to one server: what is kept, what was forgotten, and the counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.cache_stats import CacheStats
from trunkline.core.call import Call
from trunkline.core.prompt import PromptReply
from trunkline.core.reply import Reply
from trunkline.core.resource import ReadReply
from trunkline.pipeline.cache_index import Entry, Index
from trunkline.pipeline.cache_key import Key, Keys
from trunkline.pipeline.freshness import Verdict, is_keepable, judge, lifetime

_TIDY = 500
"""Answers kept between two looks for those that are of no use any more."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Question:
    """What a server is being asked."""

    __slots__ = ("forgotten", "key")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.forgotten = False
        """Whether its answer is old already when it comes."""


class Shelf:
    """What is kept of the answers of one server.

    Args:
        place: digest of the server's entry and of what it is reached with.
        clock: gives the moment that ages are counted from.
    """

    def __init__(self, server: str, place: str, keys: Keys, index: Index, clock: Callable[[], float]) -> None:
        self.server = server
        self.place = place
        self.clock = clock
        self.index = index
        self.hits = self.stale_hits = self.misses = self.degraded = self.shared = 0
        self.stored = self.unfit = self.invalidated = self.refreshed = 0
        self.foreseen = self.foreseen_hits = self.failures = 0
        self.keys = keys
        self._asked: set[Question] = set()

    def ask(self, key: Key) -> Question:
        """Note that the server is being asked; `keep` and `answered` end that."""
        question = Question(key)
        self._asked.add(question)
        return question

    def answered(self, question: Question) -> None:
        """Note that the server is asked no more, however it went."""
        self._asked.discard(question)

    def key_of(self, call: Call) -> Key | None:
        """Give the key of a call, or None for one that cannot be kept."""
        return self.keys.of(call, self.place)

    def find(
        self, key: Key, settings: CacheSettings, max_age: float | None, now: float
    ) -> tuple[Entry | None, Verdict]:
        """Give what is kept for a call, and what it is good for."""
        entry = self.index.get(key.own, now)
        if entry is None and settings.share != "never":
            entry = self.index.get(key.common, now)
        if entry is None:
            return None, "gone"
        return entry, judge(now - entry.stored, entry.fresh_for, settings, max_age)

    def keep(
        self,
        question: Question,
        call: Call,
        reply: Reply,
        settings: CacheSettings,
        *,
        foreseen: bool = False,
    ) -> bool:
        """Keep an answer, if it may be kept and was not forgotten before it came."""
        if question.forgotten:
            return False
        key, now = question.key, self.clock()
        made = make_entry(call, reply, settings, now, foreseen=foreseen)
        if made is None or not self.index.put(own_or_common(key, reply, settings), made):
            self.unfit += 1
            return False
        self.stored += 1
        if self.stored % _TIDY == 0:
            self.index.sweep(now)
        return True

    def use(self, key: Key, entry: Entry) -> None:
        """Note that an answer fetched for an expected call was asked for."""
        if entry.foreseen:
            self.foreseen_hits += 1
            used = msgspec.structs.replace(entry, foreseen=False)
            self.index.put(key.own if self.index.drop(key.own) else key.common, used)

    def forget(self, concerned: Callable[[str], bool], only: Callable[[str], bool] | None = None) -> int:
        """Forget what is kept of subjects, or of those of their keys that are meant, and what is being asked.

        Gives how many answers were forgotten.
        """
        for question in self._asked:
            key = question.key
            if concerned(key.subject) and (only is None or only(key.own)):
                question.forgotten = True
        subjects = filter(concerned, self.index.subjects())
        count = sum(self.index.drop_subject(subject, only) for subject in subjects)
        self.invalidated += count
        return count

    def stats(self) -> CacheStats:
        """Give the counts."""
        counted = set(CacheStats.__struct_fields__) - {"entries", "bytes", "evicted"}
        return CacheStats(
            **{name: getattr(self, name) for name in counted},
            entries=len(self.index),
            bytes=self.index.bytes,
            evicted=self.index.evicted,
        )


def own_or_common(key: Key, reply: Reply, settings: CacheSettings) -> str:
    """Give the key to keep an answer under: for its principal, or where policy says so for everybody."""
    common = settings.share == "always" or (settings.share == "public" and reply.scope == "public")
    return key.common if common else key.own


def make_entry(
    call: Call, reply: Reply, settings: CacheSettings, now: float, *, foreseen: bool = False
) -> Entry | None:
    """Give an answer as it is kept; None for one that may not be, or that would be of no use."""
    if not is_keepable(call, reply):
        return None
    fresh_for = lifetime(settings, reply.ttl_ms)
    keep_for = fresh_for + settings.grace
    if keep_for <= 0:
        return None
    try:
        body = _encode(reply.raw)
    except (TypeError, ValueError, RecursionError):
        return None
    if len(body) > settings.max_reply_bytes:
        return None
    return Entry(
        body=body,
        stored=now,
        fresh_for=fresh_for,
        keep_for=keep_for,
        era=reply.era,
        transport=reply.transport,
        foreseen=foreseen,
    )


def make_reply(entry: Entry, call: Call, age: float, *, stale: bool, reason: str = "") -> Reply:
    """Give what was kept as the answer of a call; a copy of its own, which its caller may change.

    Args:
        reason: why it stands in for a better one, if it does.
    """
    if call.method == "tools/call" and not reason:
        return Reply(
            raw=_decode(entry.body),
            server=call.server,
            tool=call.public_name,
            call_id=call.id,
            cached=True,
            age=age,
            stale=stale,
            era=entry.era,
            transport=entry.transport,
        )
    kind: type[Reply] = Reply
    fields: dict[str, Any] = {}
    if call.method == "resources/read":
        kind, fields = ReadReply, {"uri": call.name}
    elif call.method == "prompts/get":
        kind = PromptReply
    return kind(
        raw=_decode(entry.body),
        server=call.server,
        tool=call.public_name,
        call_id=call.id,
        cached=True,
        age=age,
        stale=stale,
        degraded=bool(reason),
        reason=reason,
        warnings=(reason,) if reason else (),
        era=entry.era,
        transport=entry.transport,
        **fields,
    )
