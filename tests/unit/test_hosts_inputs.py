"""`${input:id}` is asked for once where somebody can be asked, and fails one server where nobody can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trunkline.config import BadEntry, Config, HttpEntry, InputSpec, StdioEntry, answer_inputs, load

INPUTS = [
    {"type": "promptString", "id": "tok", "description": "Your token", "password": True, "default": "d"},
    {"type": "pickString", "id": "pick", "options": ["a", {"label": "B", "value": "b"}, 3]},
    {"type": "command", "id": "cmd", "command": "ext.run"},
    {"type": "promptString"}, "odd", {"type": "other", "id": "tok2"},
]  # fmt: skip
SERVERS = {
    "one": {"type": "http", "url": "https://h/${input:pick}", "headers": {"A": "Bearer ${input:tok}"}},
    "two": {"command": "c", "args": ["${input:tok}", "${input:free}"]},
    "three": {"command": "c", "args": ["${input:cmd}"]},
    "four": {"command": "plain"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / ".vscode").mkdir()
    file = tmp_path / ".vscode/mcp.json"
    file.write_text(json.dumps({"inputs": INPUTS, "servers": SERVERS}))
    return file


def bad(config: Config) -> dict[str, str]:
    return {entry.name: entry.error.message for entry in config.entries if isinstance(entry, BadEntry)}


def test_without_anybody_to_ask_only_the_servers_concerned_fail(file: Path) -> None:
    config = load(file, environ={})
    assert bad(config) == {
        "one": "the input 'pick' has to be asked for, and nobody can be asked here",
        "two": "the input 'tok' has to be asked for, and nobody can be asked here",
        "three": "the input 'cmd' is the result of an editor's command, which only the editor can run",
    }


def test_every_value_is_asked_for_once_with_what_the_file_says(file: Path) -> None:
    asked: list[InputSpec] = []

    def ask(spec: InputSpec) -> str:
        asked.append(spec)
        return f"<{spec.id}>" if spec.kind != "pickString" else spec.options[-1]

    config = load(file, environ={}, ask=ask)
    assert asked == [
        InputSpec(id="pick", kind="pickString", options=("a", "b", "3"), source=str(file)),
        InputSpec(id="tok", description="Your token", password=True, default="d", source=str(file)),
        InputSpec(id="free", password=True, source=str(file)),
    ]
    one, two, three, _ = config.entries
    assert isinstance(one, HttpEntry)
    assert (one.url, one.headers) == ("https://h/3", {"A": "Bearer <tok>"})
    assert isinstance(two, StdioEntry)
    assert two.args == ("<tok>", "<free>")
    assert isinstance(three, BadEntry)


def test_an_answer_is_a_secret_and_never_shown(file: Path) -> None:
    config = load(file, environ={}, ask=lambda spec: f"s3cret-{spec.id}")
    one, two, *_ = config.entries
    assert "s3cret" not in repr(config)
    assert isinstance(one, HttpEntry)
    assert isinstance(two, StdioEntry)
    assert "s3cret-tok" in one.secrets
    assert two.shown == ("c", "${input:tok}", "${input:free}")


def test_an_answer_is_not_expanded_again(file: Path) -> None:
    config = load(file, environ={"X": "no"}, ask=lambda _: "${X}")
    assert isinstance(config.entries[1], StdioEntry)
    assert config.entries[1].args == ("${X}", "${X}")


def test_no_answer_fails_the_server_and_asks_no_more(file: Path) -> None:
    asked: list[str] = []
    config = load(file, environ={}, ask=lambda spec: asked.append(spec.id))
    assert bad(config)["two"] == "the input 'tok' was not answered"
    assert asked == ["pick", "tok"]


def test_answers_may_come_after_loading(file: Path) -> None:
    config = load(file, environ={})
    entry = config.entries[1]
    assert isinstance(entry, BadEntry)
    assert "retry" not in repr(entry)
    later = answer_inputs(config, lambda _: "b")
    assert [type(entry) for entry in later.entries] == [HttpEntry, StdioEntry, BadEntry, StdioEntry]
    assert answer_inputs(later, lambda _: pytest.fail("asked again")) == later
