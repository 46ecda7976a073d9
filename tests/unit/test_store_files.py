"""A store of files: this user's alone, whole or not at all, bounded, and never waiting for anybody."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from trunkline.store.files import Bounds, FileStore
from trunkline.store.port import SALT

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "cache" / "servers")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def age(store: FileStore, key: str, seconds: float) -> None:
    """Make a memory look as if it was confirmed so long ago."""
    now = os.stat(store.folder).st_mtime
    os.utime(store.folder / key, (now - seconds, now - seconds))


def keys(store: FileStore) -> list[str]:
    return sorted(one.key for one in store.kept())


def test_what_was_put_is_given_back_and_what_was_dropped_is_not(store: FileStore) -> None:
    assert store.get("a1") is None
    store.put("a1", b"first")
    store.put("a1.b2", b"second")
    assert (store.get("a1"), store.get("a1.b2")) == (b"first", b"second")
    store.drop("a1")
    store.drop("a1")
    assert (store.get("a1"), keys(store)) == (None, ["a1.b2"])


def test_folder_and_files_are_this_user_s_alone_whatever_the_mask(store: FileStore) -> None:
    before = os.umask(0)
    try:
        store.put("a1", b"x")
    finally:
        os.umask(before)
    assert (mode(store.folder), mode(store.folder / "a1")) == (0o700, 0o600)


def test_a_folder_that_others_may_read_is_closed_before_anything_is_written(store: FileStore) -> None:
    store.folder.mkdir(parents=True)
    store.folder.chmod(0o755)
    store.put("a1", b"x")
    assert mode(store.folder) == 0o700


@pytest.mark.parametrize("bits", [0o777, 0o770])
def test_a_folder_that_others_may_write_to_is_not_used(store: FileStore, bits: int) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "a1").write_bytes(b"planted")
    store.folder.chmod(bits)
    for use in (lambda: store.get("a1"), lambda: store.put("a1", b"x"), store.kept, store.clear, store.check):
        with pytest.raises(PermissionError, match="only this user"):
            use()


def test_a_link_in_place_of_the_folder_is_not_followed(store: FileStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    store.folder.parent.mkdir()
    store.folder.symlink_to(elsewhere)
    with pytest.raises(PermissionError):
        store.put("a1", b"x")
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_a_file_is_neither_read_nor_written_through(
    store: FileStore, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"other")
    store.put("b2", b"x")
    (store.folder / "a1").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        store.get("a1")
    store.put("a1", b"mine")
    assert (store.get("a1"), target.read_bytes()) == (b"mine", b"other")


def test_a_pipe_in_place_of_a_file_holds_nobody_up(store: FileStore) -> None:
    store.put("b2", b"x")
    os.mkfifo(store.folder / "a1")
    assert store.get("a1") is None


def test_the_same_again_confirms_it_and_writes_nothing(store: FileStore) -> None:
    store.put("a1", b"x")
    number = os.stat(store.folder / "a1").st_ino
    age(store, "a1", 10 * DAY)
    store.put("a1", b"x")
    found = os.stat(store.folder / "a1")
    assert found.st_ino == number
    assert os.stat(store.folder).st_mtime - found.st_mtime < DAY


def test_what_is_too_large_is_not_kept_nor_is_what_it_takes_the_place_of(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "s", Bounds(record_bytes=10))
    store.put("a1", b"x" * 10)
    store.put("a1", b"x" * 11)
    assert store.get("a1") is None
    (store.folder / "a1").write_bytes(b"x" * 11)
    assert store.get("a1") is None


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        (Bounds(entries=2), ["c3", "d4"]),
        (Bounds(total_bytes=250), ["c3", "d4"]),
        (Bounds(age=15 * DAY), ["b2", "c3", "d4"]),
    ],
)
def test_what_was_true_longest_ago_makes_place(tmp_path: Path, bounds: Bounds, kept: list[str]) -> None:
    store = FileStore(tmp_path / "s")
    store.put(SALT, b"s" * 32)
    for number, key in enumerate(("a1", "b2", "c3")):
        store.put(key, b"x" * 100)
        age(store, key, (3 - number) * 6 * DAY)
    age(store, SALT, 100 * DAY)
    FileStore(store.folder, bounds).put("d4", b"x" * 100)
    assert keys(store) == kept
    assert store.get(SALT) is not None


def test_what_was_never_finished_is_removed_once_nobody_can_be_at_it(store: FileStore) -> None:
    store.put("a1", b"x")
    for name, seconds in ((".a1.1.ff", 2 * 3600.0), (".a1.2.ff", 60.0)):
        (store.folder / name).write_bytes(b"half")
        age(store, name, seconds)
    FileStore(store.folder).put("a1", b"y")
    assert sorted(path.name for path in store.folder.iterdir()) == [".a1.2.ff", "a1"]


def test_a_disk_that_is_full_leaves_what_was_there(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a1", b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileStore, "_create", full)
    with pytest.raises(OSError, match="No space"):
        store.put("a1", b"after")
    monkeypatch.undo()
    assert [path.name for path in store.folder.iterdir()] == ["a1"]
    assert store.get("a1") == b"before"


def test_nothing_that_is_no_key_leaves_the_folder(store: FileStore) -> None:
    for key in ("../a1", "a/b", ".a1", "", "A", "a" * 201, "a..b"):
        with pytest.raises(ValueError, match="not a key"):
            store.put(key, b"x")


def test_clearing_removes_all_of_ours_and_nothing_else(store: FileStore) -> None:
    for key in (SALT, "a1", "a1.b2"):
        store.put(key, b"x")
    (store.folder / "README.md").write_text("mine")
    assert (store.clear(), store.clear()) == (2, 0)
    assert [path.name for path in store.folder.iterdir()] == ["README.md"]


def test_a_check_tries_to_write_and_leaves_nothing(store: FileStore, tmp_path: Path) -> None:
    store.check()
    assert list(store.folder.iterdir()) == []
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    with pytest.raises(OSError, match="blocked"):
        FileStore(blocked / "servers").check()


def test_bounds_are_a_value() -> None:
    with pytest.raises(AttributeError):
        Bounds().entries = 1  # type: ignore[misc]
    assert msgspec.structs.replace(Bounds(), entries=1).entries == 1
