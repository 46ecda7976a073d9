"""Reduce an English word to the part its relatives share: `indexes`, `indexed`, `indexing` to `index`.

The published Porter2 rules, written out here because of start-up: loading the stemming library and stemming
the words of a large catalog with it takes longer than all the rest of its index.
Source: https://snowballstem.org/algorithms/english/stemmer.html; steps are numbered as there.
"""

from __future__ import annotations

import re
from functools import lru_cache

_REGION = re.compile("[aeiouy][^aeiouy]")
_CONSONANT_Y = re.compile("(^|(?<=[aeiouy]))y")
_SHORT_END = re.compile("(?:^|[^aeiouy])[aeiouy][^aeiouywxY]$|^[aeiouy][^aeiouy]$")
_VOWEL = re.compile("[aeiouy]")
_WHOLE_PREFIXES = ("arsen", "commun", "emerg", "gener", "inter", "later", "organ", "past", "univers")
_IRREGULAR = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
    **dict.fromkeys(("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")),
}
_KEPT = frozenset(("inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"))
_STEP_2 = {
    "ational": "ate",
    "fulness": "ful",
    "iveness": "ive",
    "ization": "ize",
    "ousness": "ous",
    "biliti": "ble",
    "lessli": "less",
    "tional": "tion",
    "alism": "al",
    "aliti": "al",
    "ation": "ate",
    "entli": "ent",
    "fulli": "ful",
    "ogist": "og",
    "iviti": "ive",
    "ousli": "ous",
    "abli": "able",
    "alli": "al",
    "anci": "ance",
    "ator": "ate",
    "enci": "ence",
    "izer": "ize",
    "bli": "ble",
    "ogi": "og",
    "li": "",
}
_STEP_3 = {
    "ational": "ate",
    "tional": "tion",
    "alize": "al",
    "ative": "",
    "icate": "ic",
    "iciti": "ic",
    "ical": "ic",
    "ness": "",
    "ful": "",
}
_STEP_4 = (
    *("ement", "able", "ance", "ence", "ible", "ment"),
    *("ant", "ate", "ent", "ion", "ism", "iti", "ive", "ize", "ous", "al", "er", "ic"),
)
_DOUBLED = frozenset("bdfgmnprt")
_LETTER_BEFORE = {"ogi": "l", "li": "cdeghkmnrt", "ion": "st"}


@lru_cache(maxsize=32768)
def stem_word(word: str) -> str:
    """Give the stem of a word in lower-case ASCII letters; it need not be a word itself."""
    if len(word) < 3:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word] or word
    word = _drop_plural(_CONSONANT_Y.sub("Y", word))
    if word in _KEPT:
        return word
    first = _region(word)
    word = _drop_tense(word, first)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in "aeiouy":
        word = word[:-1] + "i"
    return _drop_endings(word, first).replace("Y", "y")


def _region(word: str) -> int:
    """Where R1 begins: after the first consonant that follows a vowel."""
    for prefix in _WHOLE_PREFIXES:
        if word.startswith(prefix):
            return len(prefix)
    return _after_region(word, 0)


def _after_region(word: str, start: int) -> int:
    found = _REGION.search(word, start)
    return found.end() if found else len(word)


def _drop_plural(word: str) -> str:
    """Step 1a."""
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word[-1] == "s" and word[-2] not in "us" and _VOWEL.search(word, 0, len(word) - 2):
        return word[:-1]
    return word


def _drop_tense(word: str, first: int) -> str:
    """Step 1b."""
    for ending in ("eedly", "eed"):
        if word.endswith(ending):
            return word[: -len(ending)] + "ee" if len(word) - len(ending) >= first else word
    for ending in ("ingly", "edly", "ing", "ed"):
        if word.endswith(ending):
            rest = word[: -len(ending)]
            return _repair(rest, first) if _VOWEL.search(rest) else word
    return word


def _repair(rest: str, first: int) -> str:
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest[-1:] == rest[-2:-1] and rest[-1:] in _DOUBLED:
        return rest if len(rest) == 3 and rest[0] in "aeo" else rest[:-1]
    return rest + "e" if first >= len(rest) and _SHORT_END.search(rest) else rest


def _drop_endings(word: str, first: int) -> str:
    """Steps 2 to 5."""
    second = _after_region(word, first)
    for table in (_STEP_2, _STEP_3):
        for ending, instead in table.items():
            if word.endswith(ending):
                word = _replace(word, ending, instead, second if ending == "ative" else first)
                break
    for ending in _STEP_4:
        if word.endswith(ending):
            word = _replace(word, ending, "", second)
            break
    rest = word[:-1]
    if word[-1] == "e" and len(rest) >= first and (len(rest) >= second or not _SHORT_END.search(rest)):
        return rest
    return rest if word.endswith("ll") and len(rest) >= second else word


def _replace(word: str, ending: str, instead: str, region: int) -> str:
    rest = word[: -len(ending)]
    allowed = _LETTER_BEFORE.get(ending)
    if len(rest) < region or (allowed and rest[-1:] not in allowed):
        return word
    return rest + instead
