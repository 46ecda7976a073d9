"""Files of certificates and keys: what does not fit is told with the server, the field and the fix."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trustme

import trunkline
from trunkline.config.certificates import make_context
from trunkline.config.checking import check
from trunkline.core.tls import TlsSettings

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
        ({"ca": "~nobody-at-all/ca.pem"}, "home folder that is not known", "tls.ca"),
        ({"ca": "empty"}, "holds no certificates", "tls.ca"),
        ({"ca": "broken"}, "words.pem holds no PEM certificate", "tls.ca"),
        ({"cert": "words.pem", "key": "key.pem"}, "words.pem holds no PEM certificate", "tls.cert"),
        ({"cert": "empty"}, "cannot be read (Is a directory)", "tls.cert"),
        ({"cert": "cert.pem", "key": "words.pem"}, "words.pem holds no PEM key", "tls.key"),
        ({"cert": "cert.pem"}, "cert.pem holds no PEM key", "tls.key"),
        ({"cert": "cert.pem", "key": "other.pem"}, "is not the key of", "tls.key"),
        ({"key": "key.pem"}, "it has no certificate", "tls.key"),
        ({"cert": "cert.pem", "key": "locked.pem"}, "is encrypted", "tls.key_password"),
        (
            {"cert": "cert.pem", "key": "locked.pem", "key_password": "${file:words.pem}"},
            "the password does not open",
            "tls.key_password",
        ),
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
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/words.pem").write_text("no PEM at all")
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
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"far": {"url": "https://127.0.0.1:9/mcp"}}}')
    (problem,) = check(cwd=tmp_path, environ={"HOME": str(tmp_path)}).problems
    written = field if field.removeprefix("tls.") in tls else f"tls.{list(tls)[-1]}"
    assert (problem.severity, problem.server, problem.key) == ("error", "far", f"servers.far.{written}")
    assert (problem.source, problem.message, problem.hint) == (str(file), cause.message, cause.hint)
    assert problem.line == 2 + list(tls).index(written.removeprefix("tls."))


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
    make_context("far", settings, tmp_path, "the right one")
    for wrong in ("a wrong one", "x" * 2000):
        with pytest.raises(trunkline.ConfigError, match=r"is encrypted") as caught:
            make_context("far", settings, tmp_path, wrong)
        assert wrong not in str(caught.value)


def test_authorities_that_are_named_are_trusted_instead_of_the_systems(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trustme.CA(organization_name="the system").cert_pem.write_to_path(tmp_path / "system.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    (tmp_path / "folder").mkdir()
    authority.cert_pem.write_to_path(tmp_path / "folder/ours.CRT")
    trustme.CA(organization_name="a second").cert_pem.write_to_path(tmp_path / "folder/second.pem")
    (tmp_path / "folder/notes.txt").write_text("read by nobody")
    assert names(tmp_path) == {"the system"}
    assert names(tmp_path, ca="folder/ours.CRT") == {"trustme v" + trustme.__version__}
    assert names(tmp_path, ca="folder") == {"trustme v" + trustme.__version__, "a second"}


def names(folder: Path, **settings: str) -> set[str]:
    """Give the organizations of the authorities that are trusted."""
    context = make_context("far", TlsSettings(**settings), folder)  # type: ignore[arg-type]
    assert context.verify_mode.name == "CERT_REQUIRED"
    return {dict(pair[0] for pair in one["subject"])["organizationName"] for one in context.get_ca_certs()}


def test_a_check_finds_each_mistake_of_a_server_and_none_of_one_that_is_not_reached_so(tmp_path: Path):
    servers = {
        "far": {"url": "https://far.example/mcp"},
        "off": {"url": "https://off.example/mcp", "disabled": True},
        "open": {"url": "http://open.example/mcp"},
        "wrong": {"url": "htp://x"},
        "web": {"url": "wss://web.example/mcp"},
        "tool": {"command": "sh"},
    }
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    (tmp_path / "trunkline.toml").write_text(
        '[defaults.tls]\nca = "gone.pem"\ncert = "gone.pem"\n'
        '[servers.web.tls]\nca = ""\ncert = ""\nverify = false\n'
        '[profiles.there.servers.far]\nproxy = "http://me:${NOWHERE}@p.example"\ntls = {ca = "", cert = ""}\n'
    )
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "HTTPS_PROXY": "socks5://me:s3cret@p"}
    report = check(cwd=tmp_path, environ=environ)
    found = [
        (one.severity, one.server, one.key, one.line) for one in report.problems if one.server != "wrong"
    ]
    assert found == [
        ("error", "far", "defaults.tls.ca", 2),
        ("error", "far", "defaults.tls.cert", 3),
        ("warning", "web", "servers.web.tls.verify", 7),
        ("error", "far", "proxy", None),
        ("error", "web", "proxy", None),
    ]
    assert "s3cret" not in str(report.problems)
    there = check(cwd=tmp_path, environ={**environ, "HTTPS_PROXY": ""}, profile="there")
    assert [(one.key, one.line) for one in there.problems if one.server == "far"] == [
        ("profiles.there.servers.far.proxy", 9)
    ]
