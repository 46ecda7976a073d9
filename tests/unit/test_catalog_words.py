"""From text to search terms."""

from __future__ import annotations

import pytest

from trunkline.catalog.stem import stem_word
from trunkline.catalog.words import STOP_WORDS, Vocabulary


def terms(text):
    return Vocabulary().terms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("list_pull_requests", ["list", "pull", "request"]),
        ("getUserByID", ["get", "user", "id", "getuserbyid"]),
        ("GitHub", ["git", "hub", "github"]),
        ("HTTPServer", ["http", "server", "httpserver"]),
        ("APIs", ["api"]),
        ("sha256", ["sha", "256", "sha256"]),
        ("the best tool", []),
        ("plan b, 3 steps", ["plan", "3", "step"]),
        ("Café", ["cafe"]),
        ("cafe\u0301", ["cafe"]),
        ("Größe", ["gross"]),
        ("погода", ["погода"]),
        ("天気予報", ["天気", "気予", "予報"]),
        ("東", ["東"]),
        ("", []),
    ],
)
def test_names_are_split_filler_is_dropped_and_words_are_stemmed(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    "family",
    [
        ("search", "searches", "searched", "searching"),
        ("query", "queries", "querying"),
        ("create", "creates", "created", "creating"),
        ("connect", "connected", "connection", "connections"),
        ("organize", "organized", "organization", "organizer"),
        ("plan", "planned", "planning"),
        ("add", "adds", "added", "adding"),
        ("hopeful", "hopefulness"),
        ("tie", "tying"),
        ("agreed", "agree"),
    ],
)
def test_relatives_share_a_stem(family):
    assert len({stem_word(word) for word in family}) == 1


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("ties", "tie"),
        ("gas", "gas"),
        ("gaps", "gap"),
        ("status", "status"),
        ("relational", "relat"),
        ("conditional", "condit"),
        ("vietnamization", "vietnam"),
        ("international", "internat"),
        ("university", "universiti"),
        ("generate", "generat"),
        ("general", "general"),
        ("sky", "sky"),
        ("news", "news"),
        ("controlling", "control"),
        ("hoping", "hope"),
        ("by", "by"),
        ("yes", "yes"),
    ],
)
def test_stems_are_those_of_the_published_rules(word, stem):
    assert stem_word(word) == stem


def test_one_endless_word_costs_no_more_than_a_long_one():
    assert all(len(term) <= 64 for term in terms("a" * 100_000 + "B" * 100_000))


def test_there_are_about_a_hundred_and_fifty_filler_words():
    assert 120 <= len(STOP_WORDS) <= 180
