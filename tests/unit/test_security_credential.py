"""Which form fields count as asking for a credential."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.security.credential import find_credential, mentions_credential

SECRET = [
    "password",
    "passwd",
    "pass phrase",
    "passphrase",
    "pass code",
    "pwd",
    "secret",
    "client secret",
    "api key",
    "apikey",
    "access key",
    "private key",
    "secret key",
    "ssh key",
    "signing key",
    "token",
    "access token",
    "refresh token",
    "bearer token",
    "session cookie",
    "credential",
    "credentials",
    "otp",
    "totp code",
    "one time code",
    "one-time password",
    "verification code",
    "security code",
    "mfa code",
    "2fa code",
    "recovery code",
    "backup codes",
    "seed phrase",
    "recovery phrase",
    "mnemonic",
    "pin",
    "pin code",
    "card number",
    "credit card",
    "credit card number",
    "debit card no",
    "cc number",
    "cvv",
    "cvc",
    "cvv2",
    "github pat",
    "jwt",
]
HARMLESS = [
    "name",
    "display name",
    "username",
    "email",
    "e-mail address",
    "age",
    "birthday",
    "city",
    "postal code",
    "zip code",
    "country code",
    "language code",
    "source code",
    "key",
    "primary key",
    "public key",
    "keyword",
    "keyboard layout",
    "monkey",
    "passenger",
    "passport country",
    "compass",
    "secretary",
    "tokenizer",
    "max tokens",
    "maximum number of tokens",
    "token count",
    "token limit",
    "total tokens",
    "opinion",
    "spinning",
    "pinned",
    "postcard",
    "business card title",
    "cardinal",
    "account",
    "account name",
    "author",
    "authority",
    "discount",
    "tags",
    "project",
    "branch",
    "commit message",
    "quantity",
    "size",
    "color",
]


def spellings(words: str) -> list[str]:
    """Give the ways a program or person may write the words."""
    parts = re.split(r"[ -]", words)
    camel = parts[0] + "".join(part.capitalize() for part in parts[1:])
    joined = [sign.join(parts) for sign in (" ", "_", "-", ".")]
    return [*joined, *(one.upper() for one in joined), camel, camel[:1].upper() + camel[1:]]


def form(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"name": {"type": "string"}, **fields}}


PLACES = {
    "name": lambda text: form(**{text: {"type": "string"}}),
    "title": lambda text: form(field={"type": "string", "title": text}),
    "description": lambda text: form(field={"type": "string", "description": text}),
    "nested": lambda text: {"anyOf": [form(**{text: {"type": "string"}})]},
    "number": lambda text: form(**{text: {"type": "integer"}}),
}
around = st.sampled_from(["", "your ", "Please enter the ", "GitHub ", "new ", "user's "])
after = st.sampled_from(["", ":", " (required)", " for the shop", "?"])


@given(st.sampled_from(SECRET), st.data(), around, after, st.sampled_from(["title", "description"]))
def test_a_planted_credential_is_found_in_any_spelling(
    words: str, data: Any, before: str, behind: str, place: str
) -> None:
    spelled = data.draw(st.sampled_from(spellings(words)))
    assert find_credential(PLACES[place](before + spelled + behind)) is not None


@pytest.mark.parametrize("words", SECRET)
@pytest.mark.parametrize("place", ["name", "nested", "number"])
def test_a_planted_credential_is_found_as_a_field(words: str, place: str) -> None:
    for spelled in spellings(words):
        assert find_credential(PLACES[place](spelled)) == spelled


@pytest.mark.parametrize("words", HARMLESS)
def test_an_ordinary_field_is_let_through_in_any_spelling(words: str) -> None:
    for spelled in spellings(words):
        for place in ("name", "title", "description"):
            assert find_credential(PLACES[place](spelled)) is None, (spelled, place)


@pytest.mark.parametrize(
    "text",
    [
        "p\u200bassword",
        "pass\u00adword",
        "p\u0430ssw\u043erd",
        "\uff50\uff41\uff53\uff53word",
        "pässwörd",
        "PASSWORD",
        "myPassword2",
        "userpassword",
        "APIKEY",
        "密码",
        "パスワード",
        "비밀번호",
        "Contraseña",
        "mot de passe",
        "Kennwort",
        "\u043f\u0430\u0440\u043e\u043b\u044c",
    ],
)
def test_a_disguised_or_foreign_word_is_found(text: str) -> None:
    assert mentions_credential(text)


@pytest.mark.parametrize("field", [{"format": "password"}, {"format": "Password"}, {"writeOnly": True}])
def test_the_format_alone_is_enough(field: dict[str, Any]) -> None:
    assert find_credential(form(value={"type": "string", **field})) == "value"


@pytest.mark.parametrize(
    "field",
    [
        {"type": "boolean"},
        {"type": "string", "enum": ["one", "two"]},
        {"type": "string", "oneOf": [{"const": "a", "title": "A"}]},
        {"const": "x"},
    ],
)
def test_a_field_that_only_offers_a_choice_holds_no_credential(field: dict[str, Any]) -> None:
    assert find_credential(form(use_token=field)) is None


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    )
)
def test_any_schema_gets_an_answer(schema: Any) -> None:
    find_credential({"properties": schema, "items": schema})
