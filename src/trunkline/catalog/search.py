"""Find the few tools that fit a need in words: BM25 over weighted fields (BM25F), in memory.

The index is a value: built once from a catalog's tools, never changed. Only the words of a tool move its
rank; equal scores stand in catalog order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from typing import NamedTuple

import msgspec

from trunkline.catalog.fields import search_texts
from trunkline.catalog.words import Vocabulary
from trunkline.core.tool import Tool


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One tool that fits a query."""

    tool: Tool
    score: float
    """Share of the query's weight that the tool covers, 0 to 1; comparable between queries."""


class _Field(NamedTuple):
    weight: float
    norm: float
    """How much a longer text counts less (the `b` of BM25)."""


_FIELDS = (
    _Field(weight=3.0, norm=0.3),  # name
    _Field(weight=1.5, norm=0.3),  # server
    _Field(weight=1.0, norm=0.75),  # description
    _Field(weight=0.5, norm=0.75),  # parameters
)
_SATURATION = 1.2
_MAX_REPEATS = 5
_MAX_QUERY = 2000
_FLOOR = 0.03
_RELATIVE_FLOOR = 0.25

_Counts = tuple[Counter[str], ...]
_Postings = dict[str, tuple[list[int], list[float]]]


class SearchIndex:
    """Words to tools, with the weight of each word in each tool already computed."""

    __slots__ = ("_positions", "_postings", "_tools", "_unknown", "_weights")

    def __init__(self, tools: tuple[Tool, ...], postings: _Postings) -> None:
        self._tools = tools
        self._postings = postings
        count = len(tools)
        self._weights = {term: _rarity(count, len(places)) for term, (places, _) in postings.items()}
        self._unknown = _rarity(count, 0)

    @classmethod
    def build(cls, tools: Iterable[Tool]) -> SearchIndex:
        """Index these tools; their order breaks ties."""
        tools = tuple(tools)
        vocabulary = Vocabulary()
        counts = [tuple(Counter(vocabulary.terms(text)) for text in search_texts(tool)) for tool in tools]
        return cls(tools, _invert(counts))

    def __len__(self) -> int:
        return len(self._tools)

    def search(
        self, query: str, *, limit: int = 5, min_score: float | None = None, server: str | None = None
    ) -> tuple[Match, ...]:
        """Give the tools that fit, best first; equal scores stand in catalog order.

        Args:
            limit: at most this many.
            min_score: give everything from this score up, 0 to 1. Without it, hits of almost no weight
                and hits far below the best one are left out.
            server: only tools of this server.
        """
        terms = dict.fromkeys(Vocabulary().terms(query[:_MAX_QUERY]))
        total = sum(self._weights.get(term, self._unknown) for term in terms)
        sums = self._add_up(terms)
        if server is not None:
            sums = [
                value if tool.server == server else 0.0 for value, tool in zip(sums, self._tools, strict=True)
            ]
        best = max(sums, default=0.0)
        if best == 0:
            return ()
        least = max(_FLOOR * total, _RELATIVE_FLOOR * best) if min_score is None else min_score * total
        fitting = ((-value, place) for place, value in enumerate(sums) if value and value >= least)
        return tuple(
            Match(tool=self._tools[place], score=min(1.0, -value / total))
            for value, place in nsmallest(limit, fitting)
        )

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 5,
        min_score: float | None = None,
        server: str | None = None,
    ) -> tuple[Match, ...]:
        """Answer several needs at once: the best hit of each query first, then the second best, and so on.

        A tool that fits several queries stands once, at its first place with its best score.
        """
        answers = [self.search(query, limit=limit, min_score=min_score, server=server) for query in queries]
        found: dict[str, Match] = {}
        for rank in range(limit):
            row = [answer[rank] for answer in answers if rank < len(answer)]
            for match in sorted(row, key=lambda match: -match.score):
                earlier = found.setdefault(match.tool.public_name, match)
                if match.score > earlier.score:
                    found[match.tool.public_name] = match
        return tuple(found.values())[:limit]

    def _add_up(self, terms: Iterable[str]) -> list[float]:
        sums = [0.0] * len(self._tools)
        for term in terms:
            for place, value in zip(*self._postings.get(term, ((), ())), strict=True):
                sums[place] += value
        return sums


def _rarity(count: int, holders: int) -> float:
    return math.log(1 + (count - holders + 0.5) / (holders + 0.5))


def _invert(documents: list[_Counts]) -> _Postings:
    """Give for each term the places of its tools and what it adds to the score of each."""
    count = len(documents)
    lengths = [[field.total() for field in fields] for fields in documents]
    means = [max(1.0, sum(column) / count) for column in zip(*lengths, strict=True)]
    found: _Postings = {}
    for place, fields in enumerate(documents):
        for term, mass in _masses(fields, lengths[place], means).items():
            places, masses = found.get(term) or found.setdefault(term, ([], []))
            places.append(place)
            masses.append(mass)
    for places, masses in found.values():
        rarity = _rarity(count, len(places))
        masses[:] = [rarity * mass / (_SATURATION + mass) for mass in masses]
    return found


def _masses(fields: _Counts, lengths: list[int], means: list[float]) -> dict[str, float]:
    masses: dict[str, float] = {}
    for (weight, norm), counts, length, mean in zip(_FIELDS, fields, lengths, means, strict=True):
        factor = weight / (1 - norm + norm * length / mean)
        for term, repeats in counts.items():
            masses[term] = masses.get(term, 0.0) + factor * min(repeats, _MAX_REPEATS)
    return masses
