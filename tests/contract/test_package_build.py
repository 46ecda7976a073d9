"""The package as its users get it: built without this working tree, installed into a clean environment.

The environment is filled from uv's cache; only when the cache lacks something is a network needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

import trunkline

VERSION = trunkline.__version__
UV = str(Path(sys.executable).with_name("uv"))
EXTRAS = {
    "all", "anthropic", "cedar", "gateway", "gemini", "keyring", "openai", "postgres", "redis", "search",
    "telemetry", "uvloop", "watch", "workflows",
}  # fmt: skip


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, repository: Any) -> Path:
    """Build the sdist, and the wheel from the sdist, so that the sdist is proved complete."""
    where = tmp_path_factory.mktemp("dist")
    succeed(
        [
            UV,
            "build",
            "--quiet",
            "--offline",
            "--python",
            sys.executable,
            "--no-build-isolation",
            "--out-dir",
            str(where),
        ],
        cwd=repository.root,
    )
    return where


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"trunkline-{VERSION}.dist-info/METADATA").decode())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path, repository: Any) -> Path:
    """Give the `bin` folder of a fresh environment that holds the wheel and what it requires."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    succeed([UV, "venv", "--quiet", "--offline", "--python", sys.executable, str(home)])
    lock = str(repository.root / "requirements/dev.txt")
    install = [UV, "pip", "install", "--quiet", "--python", str(home / "bin/python"), "-c", lock, str(wheel)]
    if subprocess.run([*install, "--offline"], capture_output=True, check=False).returncode:
        succeed(install)
    return home / "bin"


def test_sdist_holds_the_source_and_what_it_needs_to_build(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "src/trunkline/__init__.py"} <= names
    assert {name.split("/")[0] for name in names} <= {
        "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "PKG-INFO", ".gitignore", "src",
    }  # fmt: skip


def test_wheel_holds_the_package_its_types_marker_and_license_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"trunkline-{VERSION}.dist-info"
    assert {"trunkline/py.typed", f"{info}/licenses/LICENSE"} <= names
    assert {name.split("/")[0] for name in names} == {"trunkline", info}
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_wheel_holds_every_file_of_the_package(wheel: Path, repository: Any) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("trunkline/")}
    tracked = {path.as_posix() for path in repository.files}
    assert names == {path.removeprefix("src/") for path in tracked if path.startswith("src/trunkline/")}


def test_metadata_names_version_license_python_and_extras(metadata: Message) -> None:
    assert metadata["Name"] == "trunkline"
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS


def test_extra_all_is_the_union_of_the_others(repository: Any) -> None:
    extras = tomllib.loads((repository.root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    [union] = extras.pop("all")
    assert union == f"trunkline[{','.join(extras)}]"
    assert all(extras.values())


def test_clean_install_has_the_console_script_and_the_module(installed: Path) -> None:
    for command in ([installed / "trunkline"], [installed / "python", "-m", "trunkline"]):
        assert VERSION in succeed([*map(str, command), "--version"], cwd=installed)


def test_clean_install_gives_every_public_name(installed: Path) -> None:
    code = (
        "import json, inspect, trunkline, trunkline.errors as errors\n"
        "public = {n: hasattr(trunkline, n) for n in trunkline.__all__}\n"
        "wanted = [n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, Exception)]\n"
        "wanted += ['connect', 'Trunk', 'Reply', 'Tool', 'Principal', 'Handlers', '__version__']\n"
        "print(json.dumps([public, wanted, trunkline.__version__, trunkline.__file__]))\n"
    )
    public, wanted, version, file = json.loads(
        succeed([str(installed / "python"), "-c", code], cwd=installed)
    )
    assert version == VERSION
    assert "site-packages" in file
    assert [name for name, there in public.items() if not there] == []
    assert sorted(set(wanted) - set(public)) == []


def succeed(command: list[str], cwd: Path | None = None) -> str:
    """Run `command` away from this project's environment and give its output; fail with both streams."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
