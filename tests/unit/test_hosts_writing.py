"""A file is replaced as a whole, keeps its mode, has a backup, and the undo line brings it back."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trunkline.config import writing
from trunkline.config.server_text import add_server, names_in
from trunkline.config.writing import Written, rewrite
from trunkline.errors import ConfigError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "ho me's"
    home.mkdir()
    return {"HOME": str(home)}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def undo(written: Written) -> None:
    assert written.undo is not None
    subprocess.run(["/bin/sh", "-c", written.undo], check=True, timeout=20)


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if "trunkline-" in name]


@pytest.mark.parametrize("name", ["mcp.json", "it's a $(file) é.json", "-rf.json"])
def test_the_undo_line_brings_the_bytes_back(tmp_path: Path, environ: dict[str, str], name: str) -> None:
    path = tmp_path / "a b" / name
    path.parent.mkdir()
    before = b'\xef\xbb\xbf{"a": 1}\r\n'
    path.write_bytes(before)
    path.chmod(0o640)
    written = rewrite(path, lambda text: text + "// more", environ=environ)
    assert path.read_bytes() == before + b"// more"
    assert mode(path) == 0o640
    assert written.backup is not None
    assert Path(written.backup).read_bytes() == before
    assert mode(Path(written.backup)) == 0o600
    undo(written)
    assert path.read_bytes() == before
    assert mode(path) == 0o640
    assert leftovers(path.parent) == []


def test_a_new_file_is_undone_by_removing_it(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "deep/er/mcp.json"
    written = rewrite(path, lambda text: text + "{}", environ=environ, private=True)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert written.backup is None
    undo(written)
    assert not path.exists()


def test_a_new_shared_file_has_the_usual_mode(tmp_path: Path, environ: dict[str, str]) -> None:
    before = os.umask(0o022)
    try:
        rewrite(tmp_path / "mcp.json", lambda _: "{}", environ=environ)
    finally:
        os.umask(before)
    assert mode(tmp_path / "mcp.json") == 0o644


def test_backups_are_numbered_and_none_is_overwritten(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / ".mcp.json"
    path.write_text("0")
    backups = [rewrite(path, lambda text: f"{int(text) + 1}", environ=environ).backup for _ in range(12)]
    assert [Path(str(backup)).read_text() for backup in backups] == [str(number) for number in range(12)]
    assert len(set(backups)) == 12


def test_the_same_text_writes_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    before = path.stat().st_ino
    assert rewrite(path, lambda text: text, environ=environ).undo is None
    assert path.stat().st_ino == before
    assert os.listdir(environ["HOME"]) == []


def test_a_link_stays_and_its_target_is_changed(tmp_path: Path, environ: dict[str, str]) -> None:
    target = tmp_path / "dotfiles/real.json"
    target.parent.mkdir()
    target.write_text("{}")
    (tmp_path / "one.json").symlink_to("dotfiles/real.json")
    (tmp_path / "two.json").symlink_to("one.json")
    written = rewrite(tmp_path / "two.json", lambda _: "[]", environ=environ)
    assert target.read_text() == "[]"
    assert (tmp_path / "two.json").is_symlink()
    assert (written.file, written.target) == (str(tmp_path / "two.json"), str(target))
    undo(written)
    assert target.read_text() == "{}"


def test_a_link_that_leads_nowhere_creates_its_target(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "link.json").symlink_to("new/real.json")
    rewrite(tmp_path / "link.json", lambda text: text + "{}", environ=environ)
    assert (tmp_path / "new/real.json").read_text() == "{}"
    assert (tmp_path / "link.json").is_symlink()


def test_a_read_only_file_is_not_changed_even_for_root(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="read-only, and was not changed") as caught:
        rewrite(path, lambda _: "[]", environ=environ)
    assert path.read_text() == "{}"
    assert "chmod u+w" in str(caught.value.hint)


def test_a_mistake_in_the_edit_changes_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")

    def fail(_: str) -> str:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        rewrite(path, fail, environ=environ)
    assert os.listdir(tmp_path) == ["mcp.json", "ho me's"] or sorted(os.listdir(tmp_path)) == [
        "ho me's",
        "mcp.json",
    ]
    assert os.listdir(environ["HOME"]) == []


def test_without_a_backup_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    (tmp_path / "home").write_text("a file, not a folder")
    with pytest.raises(ConfigError, match="cannot be written"):
        rewrite(path, lambda _: "[]", environ={"HOME": str(tmp_path / "home")})
    assert path.read_text() == "{}"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff{}")])
def test_what_is_no_text_is_refused(tmp_path: Path, environ: dict[str, str], make: object) -> None:
    path = tmp_path / "mcp.json"
    make(path)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"folder, not a file|not UTF-8"):
        rewrite(path, lambda _: "[]", environ=environ)


def test_a_change_by_another_program_meanwhile_is_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("a")
    seen: list[str] = []

    def edit(text: str) -> str:
        seen.append(text)
        if len(seen) == 1:
            path.write_text("b")
        return text + "!"

    written = rewrite(path, edit, environ=environ)
    assert (seen, path.read_text()) == (["a", "b"], "b!")
    assert Path(str(written.backup)).read_text() == "b"


def test_a_file_that_never_rests_is_given_up(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("")

    def edit(text: str) -> str:
        path.write_text(text + "x")
        return "mine"

    with pytest.raises(ConfigError, match="changed by another program all the time"):
        rewrite(path, edit, environ=environ)
    assert leftovers(tmp_path) == []


def test_a_lock_that_is_never_free_is_given_up(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(writing, "_WAITS", 2)
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="changing files here"):
            rewrite(path, lambda _: "[]", environ=environ)
    finally:
        os.close(descriptor)
    assert path.read_text() == "{}"


def test_threads_that_add_at_once_lose_no_server(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"

    def work(number: int) -> None:
        rewrite(path, lambda text: add_server(text, f"s{number}", {"url": "u"}, source="f"), environ=environ)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(names_in(path.read_text(), source="f")) == sorted(f"s{number}" for number in range(12))


PROCESS = """
import sys
from pathlib import Path
from trunkline.config.server_text import add_server
from trunkline.config.writing import rewrite
path = Path(sys.argv[1])
for number in range(8):
    name, home = f"{sys.argv[2]}-{number}", {"HOME": sys.argv[3]}
    rewrite(path, lambda text: add_server(text, name, {"url": "u"}, source="f"), environ=home)
"""


def test_processes_that_add_at_once_lose_no_server(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "mcp.json"
    command = [sys.executable, "-c", PROCESS, str(path)]
    running = [
        subprocess.Popen(
            [*command, name, environ["HOME"]], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        for name in "abc"
    ]
    assert [process.wait(timeout=50) for process in running] == [0, 0, 0]
    assert len(names_in(path.read_text(), source="f")) == 24
