"""`trunkline call -o`: what is saved, under which name, and what never is."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.main import main

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(20))


Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


def image(data: bytes = PNG, mime: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": mime}


def test_one_image_is_saved_as_its_bytes_and_its_text_is_not_lost(
    trunkline: Trunkline, world: Any, tmp_path: Path
) -> None:
    world.answer = {"content": [{"type": "text", "text": "a picture"}, image()]}
    target = tmp_path / "logo.png"
    target.write_text("old")
    run = trunkline("call", "git.log", "{}", "-o", str(target))
    assert (run.code, run.out) == (0, "")
    assert target.read_bytes() == PNG
    assert run.err == f"trunkline: saved {target} (image/png, 28 bytes)\n  a picture\n"
    assert list(tmp_path.iterdir()) == [target]


def test_several_blocks_are_numbered(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    resource = {"type": "resource", "resource": {"uri": "file:///x", "mimeType": "text/plain", "text": "hi"}}
    world.answer = {"content": [image(), image(b"j", "image/jpeg"), resource]}
    trunkline("call", "git.log", "{}", "-o", str(tmp_path / "out.png"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out-1.png": PNG,
        "out-2.jpg": b"j",
        "out-3.txt": b"hi",
    }


def test_a_folder_gets_files_named_after_the_tool(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    world.answer = {"content": [image()]}
    trunkline("call", "git.log", "{}", "-o", f"{tmp_path}/")
    world.answer = {"content": [{"type": "text", "text": "words"}]}
    trunkline("call", "git.log", "{}", "-o", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"git.log.png", "git.log.txt"}


def test_text_is_saved_to_the_letter(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    world.answer = {"content": [{"type": "text", "text": "a\r\nb\x1b[0m é"}]}
    trunkline("call", "git.log", "{}", "-o", str(tmp_path / "t"))
    assert (tmp_path / "t").read_bytes() == "a\r\nb\x1b[0m é".encode()


def test_bytes_can_go_to_standard_output(world: Any, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    world.answer = {"content": [image()]}
    assert main(["call", "git.log", "{}", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == PNG


def test_a_terminal_gets_nothing_that_acts_on_it_even_when_standard_output_is_asked_for(
    trunkline: Trunkline, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    world.answer = {"content": [{"type": "text", "text": "a\x1b[31m\x07b"}]}
    assert trunkline("call", "git.log", "{}", "-o", "-").out == "a\\x07b\n"
    world.answer = {"content": [image()]}
    run = trunkline("call", "git.log", "{}", "-o", "-")
    assert (run.code, run.out.startswith("[image image/png")) == (0, True)
    assert "-o PATH saves it" in run.err


def test_a_tools_own_error_is_never_saved(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    world.answer = {"content": [{"type": "text", "text": "no"}], "isError": True}
    run = trunkline("call", "git.log", "{}", "-o", str(tmp_path / "t"))
    assert (run.code, run.out) == (5, "no\n")
    assert list(tmp_path.iterdir()) == []


def test_broken_base64_saves_nothing_and_says_so(trunkline: Trunkline, world: Any, tmp_path: Path) -> None:
    world.answer = {"content": [image(), {"type": "image", "data": "%%%", "mimeType": "image/png"}]}
    run = trunkline("call", "git.log", "{}", "-o", str(tmp_path / "t.png"))
    assert run.code == 1
    assert "not valid base64" in run.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["missing/file", "missing/"])
def test_a_target_that_cannot_be_written_is_refused_before_the_call(
    trunkline: Trunkline, world: Any, tmp_path: Path, target: str
) -> None:
    run = trunkline("call", "git.log", "{}", "-o", f"{tmp_path}/{target}")
    assert run.code == 2
    assert "cannot save to" in run.err
    assert world.called == []


def test_the_permissions_of_a_replaced_file_stay(trunkline: Trunkline, tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.touch(mode=0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert trunkline("call", "git.log", "{}", "-o", str(link)).code == 0
    assert link.is_symlink()
    assert target.read_text() == "done"
    assert target.stat().st_mode & 0o777 == 0o600
