"""One code and its page."""

from __future__ import annotations

import msgspec


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """What a code means, what it comes of and what to do."""

    code: str
    """Stable: the `code` of errors, and of what `trunkline doctor` tells."""
    title: str
    """What has happened, in one sentence without its full stop."""
    causes: tuple[str, ...]
    """What it comes of, the most likely first; whole sentences."""
    fix: str
    """What to do; whole sentences."""
    example: str
    """A message as it is shown."""
    command: str = ""
    """A line for a shell that mends it or shows more; names in capitals stand for one's own."""

    def page(self) -> str:
        """Give the page of the documentation, as Markdown."""
        causes = "".join(f"- {cause}\n" for cause in self.causes)
        command = f"\n```console\n$ {self.command}\n```\n" if self.command else ""
        return (
            f"# {self.code}\n\n{self.title}.\n\n```text\n{self.example}\n```\n\n"
            f"## Likely causes\n\n{causes}\n## How to fix it\n\n{self.fix}\n{command}"
        )
