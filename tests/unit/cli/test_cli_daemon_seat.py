"""The files by which commands find a background process, when its configuration changes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from trunkline.cli.warm.seat import Seat
from trunkline.runtime import control_place as place
from trunkline.runtime.control_record import LockedError, lives


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_process_that_moves_is_found_under_the_new_name_only(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, Seat(tmp_path, "one") as seat:
        listener.bind(str(seat.path(place.SOCKET)))
        listener.listen()
        seat.path(place.RECORD).touch()
        seat.move("two")
        assert names(tmp_path) == sorted([f"two{place.SOCKET}", f"two{place.LOCK}"])
        assert (lives(tmp_path, "one"), lives(tmp_path, "two")) == (False, True)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(seat.path(place.SOCKET)))
        seat.move("two")
        seat.move("one")
        assert (lives(tmp_path, "one"), lives(tmp_path, "two")) == (True, False)
    assert names(tmp_path) == []


def test_a_name_that_another_process_has_is_not_taken(tmp_path: Path) -> None:
    with Seat(tmp_path, "one") as seat, Seat(tmp_path, "two") as other:
        for each in (seat, other):
            each.path(place.SOCKET).touch()
        with pytest.raises(LockedError):
            seat.move("two")
        assert seat.name == "one"
        assert seat.path(place.SOCKET).exists()
        assert other.path(place.SOCKET).exists()
