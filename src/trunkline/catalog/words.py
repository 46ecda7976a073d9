"""Turn text into search terms: split names, drop filler, reduce words to their stems."""

from __future__ import annotations

import re
import unicodedata
from itertools import chain

from trunkline.catalog.stem import stem_word

_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_MAX_WORD = 64

_FILLER = """
a about above after again all also am amazing an and any are as at be because been before being
below best better between both but by can cannot could did do does doing down during each either
else ever few for from further great had has have having he her here hers him his how i if in into
is it its itself just let like may me might more most my myself need no nor not of off on once
only or other our ours out over own per please powerful provide same shall she should so some such
tell than that the their theirs them then there these they this those through to too tool tools
ultimate under until up us very via want wants was we were what when where whether which while who
whom whose why will with within without would you your yours yourself
"""
STOP_WORDS = frozenset(_FILLER.split())
"""Words that carry no subject. Praise is among them, so that a tool cannot rise by praising itself."""


class Vocabulary(dict[str, tuple[str, ...]]):
    """The search terms of each word seen so far; for one index build or one query."""

    def terms(self, text: str) -> list[str]:
        """Give the terms of a text, in order, with repetitions."""
        return list(chain.from_iterable(map(self.__getitem__, _WORD.findall(text))))

    def __missing__(self, word: str) -> tuple[str, ...]:
        terms = self[word] = split_word(word)
        return terms


def split_word(word: str) -> tuple[str, ...]:
    """Give the terms of one run of letters and digits.

    `pullRequests2` gives its parts and, since people also write it so, the whole; Chinese and Japanese
    give overlapping pairs of characters; accents are dropped.
    """
    word = word[:_MAX_WORD]
    if not word.isascii():
        return _split_foreign(word)
    parts = _PART.findall(word)
    if len(parts) > 1:
        parts.append(word)
    return tuple(_stem(part) for part in map(str.lower, parts) if _carries_meaning(part))


def _split_foreign(word: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", word))).casefold()
    runs = _CJK.findall(folded)
    pairs = [run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1))]
    others = [part for part in _CJK.split(folded) if part]
    return (*pairs, *(_stem(part) for part in others if _carries_meaning(part)))


def _carries_meaning(word: str) -> bool:
    return word not in STOP_WORDS and (len(word) > 1 or not word.isascii() or word.isdigit())


def _stem(word: str) -> str:
    return stem_word(word) if word.isascii() and word.isalpha() else word
