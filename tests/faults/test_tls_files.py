"""Files of certificates and keys: what does not fit is told with the server, the field and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

import trunkline
from trunkline.core.tls import TlsSettings
from trunkline.transport.tls import make_context

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize(
    ("tls", "message", "field"),
    [
        ({"ca": "nowhere.pem"}, "cannot be read (No such file", "tls.ca"),
        ({"ca": "words.pem"}, "holds no PEM certificate", "tls.ca"),
        ({"cert": "nowhere.pem"}, "cannot be read (No such file", "tls.cert"),
        ({"cert": "cert.pem", "key": "nowhere.pem"}, "cannot be read (No such file", "tls.key"),
        ({"cert": "cert.pem", "key": "words.pem"}, "cannot be used", "tls.cert"),
        ({"cert": "cert.pem", "key": "other.pem"}, "is not the key of", "tls.key"),
        ({"key": "key.pem"}, "it has no certificate", "tls.key"),
        ({"cert": "cert.pem", "key": "locked.pem"}, "cannot be used", "tls.cert"),
        (
            {"cert": "cert.pem", "key": "locked.pem", "key_password": "${NOWHERE}"},
            "NOWHERE is not set",
            "tls.key_password",
        ),
    ],
)
async def test_files_that_do_not_fit_are_told_with_server_field_and_fix(
    authority: trustme.CA, tmp_path: Path, tls: dict[str, str], message: str, field: str
):
    (tmp_path / "words.pem").write_text("no PEM at all")
    ours, other = authority.issue_cert("a@example.com"), authority.issue_cert("b@example.com")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    ours.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "locked.pem").write_bytes(locked(ours.private_key_pem.bytes(), b"right"))
    file = tmp_path / "trunkline.toml"
    rows = "\n".join(f'{key} = "{value}"' for key, value in tls.items())
    file.write_text(f'[servers."far".tls]\n{rows}\n')
    async with trunkline.connect({"far": {"url": "https://127.0.0.1:9/mcp"}}, policy=file) as trunk:
        with pytest.raises(trunkline.UnavailableError, match=r".") as caught:
            await trunk.call("far.echo")
    assert message in str(caught.value)
    cause = caught.value.__cause__
    assert isinstance(cause, trunkline.ConfigError)
    assert (cause.field, cause.server) == (field, "far")
    assert cause.hint


def locked(pem: bytes, password: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    key = forms.load_pem_private_key(pem, None)
    return key.private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(password)
    )


def test_an_encrypted_key_is_opened_with_its_password_and_paths_begin_at_the_folder(
    authority: trustme.CA, tmp_path: Path
):
    ours = authority.issue_cert("client@example.com")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    (tmp_path / "key.pem").write_bytes(locked(ours.private_key_pem.bytes(), b"the right one"))
    settings = TlsSettings(cert="cert.pem", key="key.pem")
    assert make_context("far", settings, tmp_path, "the right one").get_ca_certs() is not None
    with pytest.raises(trunkline.ConfigError, match="cannot be used"):
        make_context("far", settings, tmp_path, "a wrong one")


def test_a_folder_of_authorities_is_searched(authority: trustme.CA, tmp_path: Path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert make_context("far", TlsSettings(ca="."), tmp_path).verify_mode.name == "CERT_REQUIRED"
