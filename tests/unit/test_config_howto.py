"""The how-to about configuration says what is true: its blocks load, its tables are complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from trunkline.config import BadEntry, Limits, ServerPolicy, ToolPolicy, load
from trunkline.config.environment import inherit
from trunkline.config.fields import KNOWN_KEYS

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/configure-servers.md"
ENVIRON = {"HOME": "/home/ann", "ISSUES_TOKEN": "sk-123456", "UV_INDEX_URL": "x", "HTTPS_PROXY": "y"}


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize("text", blocks("json"))
def test_every_json_block_loads_without_a_bad_entry_or_a_warning(text: str, tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(text)
    config = load(cwd=tmp_path, environ=ENVIRON)
    assert config.entries
    assert not [entry for entry in config.entries if isinstance(entry, BadEntry)]
    assert config.warnings == ()


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_toml_block_loads_and_shows_the_defaults_as_they_are(text: str, tmp_path: Path) -> None:
    (tmp_path / "trunkline.toml").write_text(text)
    policy = load([], cwd=tmp_path, environ=ENVIRON).policy
    assert policy.for_server("any") == ServerPolicy()
    assert policy.for_server("db.main") == ServerPolicy(era="legacy", trust=True, limits=Limits(items=500))
    assert policy.for_tool("files", "read_file") == ToolPolicy(timeout=10, idle=5, validate=False)
    assert set(tomllib.loads(text)["defaults"]["limits"]) == set(Limits.__struct_fields__)


def test_the_errors_shown_are_the_ones_given(tmp_path: Path) -> None:
    broken, unset = blocks("text")
    servers = blocks("json")[0].splitlines()
    (tmp_path / "mcp.json").write_text("\n".join(servers))
    issues = next(entry for entry in load(cwd=tmp_path, environ={}).entries if entry.name == "issues")
    assert isinstance(issues, BadEntry)
    assert str(issues.error).replace(str(tmp_path), "/work") == unset.strip()
    (tmp_path / "mcp.json").write_text('{\n  "time": {\n    "command" "uvx"\n  }\n}')
    with pytest.raises(Exception, match="invalid JSON") as caught:
        load(cwd=tmp_path, environ={})
    assert str(caught.value).replace(str(tmp_path), "/work") == broken.strip()


def test_every_key_and_every_inherited_variable_is_named() -> None:
    text = PAGE.read_text()
    # `transport` is tolerated for the sake of other hosts, and not recommended
    assert [
        key for key in KNOWN_KEYS if key != "transport" and f"`{key}`" not in text and f'"{key}"' not in text
    ] == []
    named = set(re.findall(r"`([A-Z][A-Z_]*)`", text)) - {"NO"}
    assert named - {"NAME"} == set(inherit(dict.fromkeys(named, "x"), windows=False))
