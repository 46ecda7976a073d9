"""How a program that servers are commonly started with is installed on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

_BY_SCRIPT = {
    "uv": "curl -LsSf https://astral.sh/uv/install.sh | sh",
    "bun": "curl -fsSL https://bun.sh/install | bash",
    "deno": "curl -fsSL https://deno.land/install.sh | sh",
}
_PACKAGES: dict[str, Mapping[str, str]] = {
    "node": {"brew": "node", "pacman": "nodejs npm", "": "nodejs npm"},
    "docker": {"brew": "--cask docker", "apt-get": "docker.io", "": "docker"},
    "podman": {"": "podman"},
    "python3": {"brew": "python", "pacman": "python", "": "python3"},
    "pipx": {"": "pipx"},
    "git": {"": "git"},
    "java": {"brew": "openjdk", "apt-get": "default-jre", "": "java-latest-openjdk"},
}
"""Names of the package by the program that installs it; "" stands for every other one."""
_BELONGS = {"uvx": "uv", "bunx": "bun", "npx": "node", "npm": "node", "python": "python3"}
_INSTALLERS = {
    "brew": "brew install {}",
    "apt-get": "sudo apt-get install {}",
    "dnf": "sudo dnf install {}",
    "apk": "sudo apk add {}",
    "pacman": "sudo pacman -S {}",
}
_PLACES = (
    *("~/.local/bin", "~/.cargo/bin", "~/.bun/bin", "~/.deno/bin", "~/.volta/bin", "~/bin"),
    *("/usr/local/bin", "/opt/homebrew/bin", "/snap/bin"),
)


def install_command(program: str) -> str | None:
    """Give a line for a shell that installs a well-known program; None for any other."""
    name = os.path.basename(program)
    name = _BELONGS.get(name, name)
    if name in _BY_SCRIPT:
        return _BY_SCRIPT[name]
    if name not in _PACKAGES:
        return None
    packages = _PACKAGES[name]
    for installer, line in _INSTALLERS.items():
        if shutil.which(installer):
            return line.format(packages.get(installer, packages[""]))
    return None


def find_elsewhere(program: str, environ: Mapping[str, str]) -> str | None:
    """Give the path of a program that is installed where its server does not look for it, or None.

    Args:
        environ: our own environment.
    """
    if os.path.dirname(program):
        return None
    home = environ.get("HOME", "~")
    places = [place.replace("~", home, 1) for place in _PLACES]
    return shutil.which(program, path=os.pathsep.join([environ.get("PATH", ""), *places]))
